//! Power cuts: what was not waited for may be on the disk or not.

use super::*;

#[derive(Clone, PartialEq)]
enum Step {
    Publish(PathBuf, Vec<u8>, u32),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    SyncFolder,
    Mode(u32),
    Write(u64, Vec<u8>),
    Sync,
}

impl Step {
    fn waits(&self) -> bool {
        matches!(self, Self::SyncFolder | Self::Sync)
    }
}

/// Does it, and remembers it; cancels with the second time that the content is waited for.
struct Recorder {
    steps: RefCell<Vec<Step>>,
    cancel: Option<Cancel>,
}

impl Recorder {
    fn note(&self, step: Step) {
        self.steps.borrow_mut().push(step);
    }
}

impl Disk for Recorder {
    fn publish(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
        self.note(Step::Publish(path.to_owned(), bytes.to_vec(), mode));
        Unwaited.publish(path, bytes, mode)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.note(Step::Rename(from.to_owned(), to.to_owned()));
        Unwaited.rename(from, to)
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        self.note(Step::SyncFolder);
        Ok(())
    }

    fn set_mode(&self, file: &File, mode: u32) -> io::Result<()> {
        self.note(Step::Mode(mode));
        Unwaited.set_mode(file, mode)
    }

    fn write(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        self.note(Step::Write(at, bytes.to_vec()));
        Unwaited.write(file, bytes, at)
    }

    fn sync(&self, _: &File) -> io::Result<()> {
        self.note(Step::Sync);
        let syncs = self.steps.borrow().iter().filter(|step| **step == Step::Sync).count();
        if let Some(cancel) = self.cancel.as_ref().filter(|_| syncs == 2) {
            cancel.cancel();
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.note(Step::Remove(path.to_owned()));
        Unwaited.remove(path)
    }
}

/// The steps of a run, or of one that is cancelled when all is written and undoes it.
fn recorded(names: &Names, cancelled: bool) -> Vec<Step> {
    let cancel = Cancel::new();
    let recorder =
        Recorder { steps: RefCell::default(), cancel: cancelled.then(|| cancel.clone()) };
    let outcome = run(&recorder, names, &cancel);
    assert_eq!(outcome.is_err(), cancelled, "{outcome:?}");
    recorder.steps.into_inner()
}

/// Lays out what a disk may have when the power goes after these `steps`: of names those up to the
/// last wait and `names` further steps; of the image's content and mode those up to the last wait,
/// and of what came later whatever `kept` says of each.
fn after_a_cut(steps: &[Step], image: &Path, names: usize, kept: impl Fn(usize) -> bool) {
    let last = |wanted: fn(&Step) -> bool| steps.iter().rposition(wanted).map_or(0, |i| i + 1);
    let named = last(|step| matches!(step, Step::SyncFolder | Step::Publish(..))) + names;
    let synced = last(|step| *step == Step::Sync);
    let (mut bytes, mut mode) = (OLD.clone(), 0o644);
    for (index, step) in steps.iter().enumerate() {
        match step {
            Step::Write(at, new) if index < synced || kept(index) => {
                let at = *at as usize;
                bytes[at..at + new.len()].copy_from_slice(new);
            }
            Step::Mode(new) if index < synced || kept(index) => mode = *new,
            _ => {}
        }
    }
    lay(image, &bytes, mode);
    for (index, step) in steps.iter().enumerate() {
        match step {
            Step::Publish(path, bytes, mode) => lay(path, bytes, *mode),
            Step::Rename(from, to) if index < named => fs::rename(from, to).expect("rename"),
            Step::Remove(path) if index < named => fs::remove_file(path).expect("remove"),
            _ => {}
        }
    }
}

/// What is wrong with what a cut left, or with what comes of it.
fn wrong(names: &Names) -> Result<(), String> {
    let (old, new) = (&*OLD, &*NEW);
    for path in [&names.image, &names.aside] {
        let Ok(bytes) = fs::read(path) else { continue };
        let mode = fs::metadata(path).expect("image").permissions().mode() & 0o777;
        if mode != 0o600 && bytes != *old {
            return Err(format!("secrets for all to read in {}", path.display()));
        }
        if path == &names.image && bytes != *old && bytes != *new {
            return Err("half an image under its name".into());
        }
        if path == &names.image && told(names, &[&*names.journal]) != which(path) {
            return Err(format!("what is beside it tells about another: {:?}", listing(names)));
        }
    }
    steps::recover(&Unwaited, names).map_err(|e| e.to_string())?;
    match fs::read(&names.image) {
        Ok(image) if image == *old || image == *new => {}
        _ => return Err("no whole image came back".into()),
    }
    match told(names, &[]) == which(&names.image) {
        true => Ok(()),
        false => Err(format!("{:?}", listing(names))),
    }
}

/// Cuts the power after every step, in many ways; what was wrong, and how many there were.
fn cuts(names: &Names, steps: &[Step]) -> Result<usize, String> {
    let (ways, mut cuts) = (4, 0);
    for end in 0..=steps.len() {
        for names_kept in 0..3 {
            for kept in 0..1_usize << ways {
                lay_beside(names);
                let keeps = |index: usize| (kept >> (index % ways)) & 1 == 1;
                after_a_cut(&steps[..end], &names.image, names_kept, keeps);
                wrong(names).map_err(|e| format!("{e}: {end} {names_kept} {kept}"))?;
                cuts += 1;
            }
        }
    }
    Ok(cuts)
}

#[test]
fn whatever_reached_the_disk_one_whole_image_comes_back() {
    let (_dir, names) = folder();
    for (cancelled, most) in [(false, 500), (true, 800)] {
        lay_old(&names);
        let steps = recorded(&names, cancelled);
        let cuts = cuts(&names, &steps).unwrap_or_else(|e| panic!("{cancelled}: {e}"));
        assert!(cuts > most, "only {cuts} cuts");
    }
}

#[test]
fn without_one_of_the_waits_it_would_not() {
    let (_dir, names) = folder();
    let steps = recorded(&names, true);
    let waits = steps.iter().enumerate().filter(|(_, step)| step.waits());
    let needed: Vec<bool> = waits
        .map(|(index, _)| {
            let without: Vec<Step> = [&steps[..index], &steps[index + 1..]].concat();
            cuts(&names, &without).is_err()
        })
        .collect();
    // Its name and its mode before what it holds; what it held before the mode it had. The others,
    // and the last of a run that is not undone, only shorten the time in which it is undone again.
    assert_eq!(needed, [true, true, false, true, false, false]);
    lay_old(&names);
    let mut steps = recorded(&names, false);
    let content = steps.iter().rposition(|step| *step == Step::Sync).expect("wait");
    steps.remove(content);
    assert!(cuts(&names, &steps).is_err(), "what it holds before its name");
}
