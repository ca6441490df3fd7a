//! One step on a real Debian system, with its dpkg and its PostgreSQL: `ci/testbed/packages-test`
//! runs this inside a throw-away root file system. Nowhere else: it changes the machine.

use std::path::Path;

use firstboot::finding::Finding;
use firstboot::machine::StepId;
use firstboot::report::Report;
use firstboot::steps::{self, Context, Memory};
use firstboot::sys::{Real, Sys};
use nodeconf::{NodeConfig, paths};

#[test]
#[ignore = "changes the system it runs on: ci/testbed/packages-test runs it in a throw-away one"]
fn a_step_is_met_after_it_was_applied() {
    let step = match std::env::var("BAKE_TEST_STEP").as_deref() {
        Ok("packages") => StepId::Packages,
        Ok("database") => StepId::Database,
        other => panic!("BAKE_TEST_STEP is {other:?}"),
    };
    assert!(Path::new("/throw-away").exists(), "not in a throw-away system");
    let sys = Real::below("/");
    let config = NodeConfig::parse(&sys.read(Path::new(paths::NODE_CONFIG)).unwrap()).unwrap();
    let (report, memory) = (Report::open(&sys), Memory::default());
    let ctx = Context {
        sys: &sys,
        config: &config,
        report: &report,
        applied: false,
        sealed: false,
        memory: &memory,
    };
    let found = steps::check(step, &ctx);
    assert!(matches!(found, Finding::Unmet(_)), "{found:?}");
    steps::apply(step, &ctx).unwrap();
    assert_eq!(steps::check(step, &ctx), Finding::Met);
    // Once more, as after a power cut before the ledger was written.
    steps::apply(step, &ctx).unwrap();
    assert_eq!(steps::check(step, &ctx), Finding::Met);
}
