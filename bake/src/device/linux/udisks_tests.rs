//! Judged by a real `dbus-daemon`, with a double of udisks2 on it (bake/tests/flash).

use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;
use crate::device::{Bus as Attached, Identity, Kind};

struct Process(Child);

impl Process {
    /// Starts a program and waits for its first line.
    fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let mut line = String::new();
        let out = child.stdout.as_mut().expect("output");
        BufReader::new(out).read_line(&mut line).expect("a line");
        assert!(!line.is_empty(), "{command:?} ended");
        Self(child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn device(path: &str) -> Device {
    Device {
        path: path.into(),
        number: (8, 16),
        sequence: None,
        kind: Kind::Whole,
        bus: Attached::Usb,
        removable: true,
        read_only: false,
        size: 4096,
        block: 512,
        identity: Identity::default(),
        uses: Vec::new(),
    }
}

#[test]
fn it_hands_over_an_open_device_or_says_why_not() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (socket, address) = (at("bus"), format!("unix:path={}", at("bus").display()));
    let config = format!(
        "<busconfig><type>system</type><listen>{address}</listen><auth>EXTERNAL</auth>\
         <policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/>\
         <allow send_destination=\"*\"/><allow receive_sender=\"*\"/></policy></busconfig>"
    );
    std::fs::write(at("bus.conf"), config).unwrap();
    std::fs::write(at("card"), [7; 4096]).unwrap();
    let _bus = Process::start(
        Command::new("dbus-daemon")
            .args(["--nofork", "--nopidfile", "--print-address=1", "--config-file"])
            .arg(at("bus.conf")),
    );
    let double = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flash/udisks_double.py");
    // Debian's, which has its dbus module.
    let _udisks =
        Process::start(Command::new("/usr/bin/python3").arg(double).arg(&address).arg(at("card")));
    let file = open_at(&socket, &device("/dev/sd-x")).expect("an open file");
    let mut byte = crate::sys::aligned::Buffer::zeroed(4096);
    file.read_exact_at(&mut byte, 0).expect("readable");
    assert!(byte.iter().all(|b| *b == 7));
    byte.fill(9);
    file.write_all_at(&byte, 0).expect("writable");
    assert_eq!(std::fs::read(at("card")).unwrap(), [9; 4096]);
    let refused = open_at(&socket, &device("/dev/sdy")).unwrap_err();
    assert_eq!(refused.to_string(), "Not authorized to perform operation");
    let unknown = open_at(&socket, &device("/dev/sdz")).unwrap_err();
    assert!(matches!(unknown, Failure::Refused(_)), "{unknown}");
    let nobody = open_at(&at("nobody"), &device("/dev/sdz")).unwrap_err();
    assert!(matches!(nobody, Failure::NoBus(_)), "{nobody}");
}
