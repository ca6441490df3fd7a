use std::fs;
use std::path::Path;

use bake::error::Exit;
use bake::profile::{Profile, Search};

use super::{GOOD, read};

#[test]
fn names_are_looked_up_in_order_and_paths_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| dir.path().join(name));
    fs::create_dir(&first).unwrap();
    fs::create_dir(&second).unwrap();
    fs::write(second.join("mine.yaml"), GOOD).unwrap();
    fs::write(second.join("single.yaml"), GOOD).unwrap();
    let search = Search::within(vec![first.clone(), second.clone()]);
    assert_eq!(search.find("mine").unwrap().file, Some(second.join("mine.yaml")));
    assert_eq!(search.find("single").unwrap().file, Some(second.join("single.yaml")), "over ours");
    assert_eq!(search.find("master3").unwrap().file, None);
    fs::write(first.join("mine.yaml"), GOOD).unwrap();
    assert_eq!(search.find("mine").unwrap().file, Some(first.join("mine.yaml")));
    let path = second.join("mine.yaml");
    assert_eq!(search.find(path.to_str().unwrap()).unwrap().file, Some(path));
    let names: Vec<String> = search.names().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["master2-postgres", "master3", "mine", "single"]);
}

#[test]
fn what_is_not_there_is_said_with_what_is() {
    let search = Search::within(Vec::new());
    let error = search.find("mastr3").unwrap_err();
    assert_eq!(error.exit(), Exit::Usage);
    assert_eq!(error.hints(), ["did you mean `master3`?"]);
    let error = search.find("zzz").unwrap_err();
    assert!(error.hints()[0].contains("`master2-postgres`, `master3` or `single`"));
    assert_eq!(search.find("./nowhere.yaml").unwrap_err().exit(), Exit::Usage);
}

#[test]
fn text_that_is_not_utf_8_is_located() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.yaml");
    fs::write(&path, b"version: 1\n\xff").unwrap();
    let error = Search::within(Vec::new()).find(path.to_str().unwrap()).unwrap_err();
    assert!(format!("{error:?}").contains("not UTF-8 text from byte 11"), "{error:?}");
}

#[test]
fn the_node_is_named_or_follows_from_the_output() {
    let profile = read(GOOD, &[]).unwrap();
    let select = |node, out: Option<&str>| {
        profile.select(node, out.map(Path::new)).map(str::to_owned).map_err(|e| e.to_string())
    };
    assert_eq!(select(Some("node2"), Some("node1.img")).unwrap(), "node2");
    assert_eq!(select(None, Some("/tmp/node3.img.zst")).unwrap(), "node3");
    let error = select(None, Some("x.img")).unwrap_err();
    assert!(error.contains("`node1`, `node2`, `node3` or `worker1`"), "{error}");
    let error = profile.select(Some("nod1"), None).unwrap_err();
    assert_eq!(error.hints(), ["did you mean `node1`?"]);
    let search = Search::within(Vec::new());
    let single = Profile::read(&search.find("single").unwrap(), &[]).unwrap();
    assert_eq!(single.select(None, Some(Path::new("card.img"))).unwrap(), "node1");
}
