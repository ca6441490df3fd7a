//! What a database node gets. The files beside this test are what `ci/testbed/packages-test` has a
//! real PostgreSQL run with.

use super::fixtures::release;
use super::plans::{DATABASE, plan};
use super::recipe_for;
use crate::recipe::{Action, Source};
use nodeconf::paths;

#[test]
fn its_files_are_those_that_postgresql_was_tried_with() {
    let recipe = recipe_for(&release("bookworm"), &plan(DATABASE, "db", &[]));
    let written = |path: &str| {
        recipe.edits.iter().find_map(|edit| match &edit.action {
            Action::Write { path: at, source: Source::Bytes(bytes), .. } if at == path => {
                Some(String::from_utf8(bytes.clone()).unwrap())
            }
            _ => None,
        })
    };
    for (path, tried) in [
        (paths::DATABASE_CONFIG, include_str!("database/postgresql.conf")),
        (paths::DATABASE_ACCESS, include_str!("database/pg_hba.conf")),
        ("/usr/local/lib/bake/database-backup", include_str!("database/backup")),
    ] {
        assert_eq!(written(path).as_deref(), Some(tried), "{path}");
    }
    let server = recipe_for(&release("bookworm"), &plan(DATABASE, "node1", &[]));
    let about = |part: &str| server.edits.iter().any(|e| e.action.path().contains(part));
    assert!(!about("database-backup") && !about("postgresql@"));
}
