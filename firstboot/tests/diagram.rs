//! The picture in the documentation is the table in the code.

use std::path::Path;

#[test]
fn the_documented_machine_is_the_one_that_runs() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/firstboot.dot");
    let drawn = firstboot::machine::diagram();
    if std::env::var_os("BAKE_BLESS").is_some() {
        std::fs::write(&file, &drawn).unwrap();
    }
    let documented = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        documented == drawn,
        "docs/firstboot.dot is out of date: BAKE_BLESS=1 cargo test -p firstboot --test diagram"
    );
}
