//! A computer whose devices are doubles: what the platform and the supply are for tests.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bake::device::{Bus, Cleared, Device, Identity, Kind, Platform, Transport};
use bake::emit::InUse;
use bake::error::{Error, Result};
use bake::event::{Silent, Sink};
use bake::job::flash::{Content, Flasher, Ledger, Options, Subject, Supply};
use bake::store::{BytesSource, Image};
use bake::sys::interrupt::Cancel;

use crate::card::FaultyCard;

pub const LEN: u64 = 3 << 20;

/// The devices of a computer, and the card in each.
#[derive(Debug, Default)]
pub struct Shelf {
    pub slots: Vec<(Device, FaultyCard)>,
    /// What was opened for writing. It opens whatever it is asked for: the guard alone protects.
    pub opened: Mutex<Vec<PathBuf>>,
}

impl Shelf {
    pub fn of(slots: impl IntoIterator<Item = (Device, FaultyCard)>) -> Self {
        Self { slots: slots.into_iter().collect(), ..Self::default() }
    }

    pub fn list_of(&self, wanted: impl Fn(&Device) -> bool) -> impl Iterator<Item = &Device> {
        self.slots.iter().map(|(device, _)| device).filter(move |device| wanted(device))
    }

    pub fn is_opened(&self, device: &Device) -> bool {
        self.opened.lock().expect("opened").contains(&device.path)
    }
}

impl Platform for Shelf {
    fn list(&self) -> Result<Vec<Device>> {
        Ok(self.slots.iter().map(|(device, _)| device.clone()).collect())
    }

    fn look(&self, path: &Path) -> Result<Device> {
        let found = self.slots.iter().find(|(device, _)| device.path == path);
        let missing = || Error::NotFound { what: "device", name: path.display().to_string() };
        found.map(|(device, _)| device.clone()).ok_or_else(missing)
    }

    fn open(&self, cleared: &Cleared) -> Result<Box<dyn Transport>> {
        let path = &cleared.device().path;
        self.opened.lock().expect("opened").push(path.clone());
        let card = self.slots.iter().find(|(device, _)| device.path == *path);
        Ok(Box::new(card.expect("a device of ours").1.clone()))
    }
}

/// A USB card of 8 MiB at `/dev/sdX`, free and sound.
pub fn card(letter: char) -> Device {
    Device {
        path: format!("/dev/sd{letter}").into(),
        number: (8, 16 * (u32::from(letter) - u32::from('a'))),
        sequence: Some(7),
        kind: Kind::Whole,
        bus: Bus::Usb,
        removable: true,
        read_only: false,
        size: 8 << 20,
        block: 512,
        identity: Identity { serial: Some(format!("card {letter}")), ..Identity::default() },
        uses: Vec::new(),
    }
}

/// Makes the same bytes for every node, each time another incarnation of it.
#[derive(Debug, Default)]
pub struct Same(Mutex<Vec<String>>);

impl Supply for Same {
    fn make(&self, node: Option<&str>, _: &dyn Sink, _: &Cancel) -> Result<Content> {
        let image = Arc::new(Mutex::new(Image::new(Arc::new(BytesSource::new(bytes())))));
        let subject = node.map(|node| {
            let mut made = self.0.lock().expect("made");
            made.push(node.to_owned());
            let times = made.iter().filter(|made| *made == node).count();
            Subject { node: node.to_owned(), incarnation: u32::try_from(times).expect("few") }
        });
        Ok(Content { image, used: InUse::everything(LEN), subject })
    }
}

fn bytes() -> Arc<[u8]> {
    (0..LEN).map(|i| ((i * 31 + i / 4096) % 251) as u8).collect()
}

/// Whether the card has the bytes that [`Same`] makes.
pub fn is_whole(card: &FaultyCard) -> bool {
    card.reads(0..LEN) == *bytes()
}

pub fn flasher<'a>(
    shelf: &'a Shelf,
    supply: &'a Same,
    ledger: Option<&'a Ledger>,
    options: Options,
    cancel: &'a Cancel,
) -> Flasher<'a> {
    Flasher { platform: shelf, supply, ledger, options, sink: &Silent, cancel }
}
