//! Runs that fail, are cancelled, end or are killed, at every call.

use std::process::Command;

use super::*;

/// After a further run that went well.
fn assert_becomes_new(names: &Names) {
    assert!(run(&Real, names, &Cancel::new()).expect("change"));
    assert_eq!(whole(names), "new");
}

/// Under its own name it has what tells about it.
fn assert_told(names: &Names) {
    if let Some(image) = which(&names.image) {
        assert_eq!(told(names, &[&*names.journal]), Some(image));
    }
}

#[test]
fn what_fails_or_is_cancelled_leaves_the_old_image() {
    let calls = calls();
    for how in [How::Fails, How::Cancels] {
        for at in 1..=calls {
            let ((_dir, names), cancel) = (folder(), Cancel::new());
            let outcome = run(&Until::new(at, how, &cancel), &names, &cancel);
            // The last three give the image its name, wait for that, and take the journal away; what
            // is beside it comes before.
            let late = at > calls - if how == How::Cancels { 6 } else { 2 };
            assert_eq!(outcome.is_ok(), how == How::Cancels && late, "{how:?} {at}: {outcome:?}");
            let expected = if late { "new" } else { "old" };
            assert_eq!(which(&names.image), Some(expected), "{how:?} {at}");
            let journal = names.journal.exists().then_some(&*names.journal);
            assert_eq!(journal.is_some(), how == How::Fails && late, "{how:?} {at}");
            assert_eq!(told(&names, journal.as_slice()), Some(expected), "{how:?} {at}");
            if !late {
                let mode = fs::metadata(&names.image).expect("image").permissions().mode();
                assert_eq!(mode & 0o777, 0o644, "{how:?} {at}");
            }
            let left = steps::recover(&Real, &names).expect("recovery");
            let whole_then = if journal.is_some() { Left::Whole } else { Left::Nothing };
            assert_eq!((left, whole(&names)), (whole_then, expected), "{how:?} {at}");
        }
    }
}

#[test]
fn what_ends_is_put_right_also_where_that_ends_too() {
    let (calls, cancel) = (calls(), Cancel::new());
    let mut absent = 0;
    for at in 1..=calls {
        // 100: the recovery does not end.
        for again in (1..=13).chain([100]) {
            let (_dir, names) = folder();
            run(&Until::new(at, How::Ends, &cancel), &names, &cancel).expect_err("it ended");
            absent += usize::from(which(&names.image).is_none());
            assert_told(&names);
            let recovery = steps::recover(&Until::new(again, How::Ends, &cancel), &names);
            assert_told(&names);
            let recovery = recovery.or_else(|_| steps::recover(&Real, &names));
            recovery.unwrap_or_else(|e| panic!("{at}, {again}: {e}"));
            let image = whole(&names);
            assert_eq!(image == "new", at > calls - 2, "{at}, {again}");
            let mode = fs::metadata(&names.image).expect("image").permissions().mode() & 0o777;
            assert_eq!(mode, if image == "new" { 0o600 } else { 0o644 });
            if image == "old" {
                assert_becomes_new(&names);
            }
        }
    }
    assert!(absent > 20, "{absent} runs ended while the image had its hidden name");
}

const KILLED: &str = "BAKE_TEST_KILLED_AT";

/// Not a test: what [`a_process_that_is_killed_at_any_call_loses_nothing`] starts and has killed.
#[test]
fn killed() {
    let Some(told) = std::env::var_os(KILLED) else { return };
    let told = told.into_string().expect("text");
    let (at, image) = told.split_once(' ').expect("call and image");
    let cancel = Cancel::new();
    let disk = Until::new(at.parse().expect("number"), How::Kills, &cancel);
    run(&disk, &Names::of(Path::new(image)), &cancel).expect("change");
}

#[test]
fn a_process_that_is_killed_at_any_call_loses_nothing() {
    use std::os::unix::process::ExitStatusExt;
    let calls = calls();
    let mut right = 0;
    for at in 1..=calls + 1 {
        let (_dir, names) = folder();
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "emit::in_place::tests::ended::killed"])
            .env(KILLED, format!("{at} {}", names.image.display()))
            .output()
            .expect("child");
        assert_eq!(child.status.signal(), (at <= calls).then_some(9), "{at}: {child:?}");
        assert_told(&names);
        let unsettled = settled(&names.image).is_err();
        let left = recover(&names.image).expect("recovery");
        assert_eq!(unsettled, left != Left::Nothing, "{at}");
        settled(&names.image).expect("nothing left to do");
        right += usize::from(left == Left::Undone);
        assert_eq!(whole(&names) == "new", at > calls - 2, "{at}");
    }
    assert!(right >= calls - 5, "{right} of {calls} were put right");
}

#[test]
fn what_cannot_be_put_right_is_told_and_left() {
    let cancel = Cancel::new();
    let left = || {
        let (dir, names) = folder();
        run(&Until::new(6, How::Ends, &cancel), &names, &cancel).expect_err("it ended");
        assert_eq!(listing(&names)[..2], [".node1.img.bake-aside", ".node1.img.bake-undo"]);
        (dir, names)
    };
    let refused = |names: &Names, words: &str| {
        let before = listing(names);
        let error = recover(&names.image).expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(listing(names), before);
        error
    };
    let (_dir, names) = left();
    lay(&names.image, b"another", 0o644);
    let error = refused(&names, "it is there twice");
    assert!(error.hints()[0].contains(".node1.img.bake-undo"), "{:?}", error.hints());
    fs::remove_file(&names.image).expect("moved away");
    {
        let _reader = File::open(&names.aside).expect("open");
        refused(&names, "another program has");
    }
    let journal = fs::read(&names.journal).expect("journal");
    fs::write(&names.journal, &journal[1..]).expect("journal");
    refused(&names, "SHA-256");
    fs::remove_file(&names.journal).expect("journal");
    refused(&names, "its journal is not there");
    fs::write(&names.journal, &journal).expect("journal");
    let aside = File::options().write(true).open(&names.aside).expect("open");
    aside.set_len(5).expect("length");
    drop(aside);
    let error = refused(&names, "is corrupt");
    assert!(matches!(error, Error::Hinted { .. }), "{error:?}");

    // A run that is alive.
    let (_dir, names) = left();
    let alive = File::open(&names.aside).expect("open");
    alive.try_lock().expect("lock");
    refused(&names, "another run is changing it");
    drop(alive);
    assert_eq!(recover(&names.image).expect("recovery"), Left::Undone);
    assert_eq!(recover(&names.image).expect("nothing to do"), Left::Nothing);
}

#[test]
fn an_image_that_somebody_opens_meanwhile_is_left_alone() {
    struct Opens<'a>(Until<'a>, RefCell<Option<File>>);
    impl Disk for Opens<'_> {
        fn publish(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
            self.0.publish(path, bytes, mode)
        }
        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            self.1.borrow_mut().get_or_insert(File::open(from)?);
            self.0.rename(from, to)
        }
        fn sync_folder(&self, folder: &Path) -> io::Result<()> {
            self.0.sync_folder(folder)
        }
        fn set_mode(&self, _: &File, _: u32) -> io::Result<()> {
            panic!("it is changed all the same");
        }
        fn write(&self, _: &File, _: &[u8], _: u64) -> io::Result<()> {
            panic!("it is changed all the same");
        }
        fn sync(&self, file: &File) -> io::Result<()> {
            self.0.sync(file)
        }
        fn remove(&self, path: &Path) -> io::Result<()> {
            self.0.remove(path)
        }
    }
    let ((_dir, names), cancel) = (folder(), Cancel::new());
    let disk = Opens(Until::new(usize::MAX, How::Fails, &cancel), RefCell::new(None));
    assert!(!run(&disk, &names, &cancel).expect("left alone"));
    assert_eq!(whole(&names), "old");
}
