//! The table as a picture (`docs/firstboot.dot`).

use std::fmt::Write as _;

use super::{Mark, Seen, StepId, TABLE, Verdict};

/// The machine in Graphviz's language: the order of the steps, and the rules each step follows.
#[must_use]
pub fn diagram() -> String {
    let mut out = String::from(
        "// Generated from the table in firstboot/src/machine/table.rs; a test holds them equal.\n\
         digraph firstboot {\n  rankdir=LR;\n  node [shape=box, style=rounded];\n\
         \x20 subgraph cluster_steps {\n    label=\"steps, in this order\";\n",
    );
    for step in StepId::ALL {
        let _ = writeln!(out, "    {step} [label=\"{step}\\n{}\"];", step.whose());
    }
    let names: Vec<&str> = StepId::ALL.iter().map(|step| step.name()).collect();
    let _ = writeln!(out, "    {};\n  }}", names.join(" -> "));
    let _ = writeln!(out, "  subgraph cluster_rules {{\n    label=\"what each step follows\";");
    for &(mark, seen, verdict) in &TABLE {
        if verdict != Verdict::Observe {
            let _ = writeln!(
                out,
                "    {} -> {} [label=\"{}: {}\"];",
                mark_name(mark),
                target(mark, verdict),
                seen_name(seen),
                verdict_name(verdict)
            );
        }
    }
    out.push_str("  }\n}\n");
    out
}

fn mark_name(mark: Mark) -> &'static str {
    match mark {
        Mark::Open => "open",
        Mark::Applied => "applied",
        Mark::Done => "done",
        Mark::Redone => "redone",
        Mark::Sealed => "sealed",
        Mark::Kept => "kept",
    }
}

fn seen_name(seen: Seen) -> &'static str {
    match seen {
        Seen::Nothing => "not checked",
        Seen::Met => "met",
        Seen::Unmet => "unmet",
        Seen::Blocked => "blocked",
        Seen::Wrong => "wrong",
        Seen::Broken => "broken",
    }
}

fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Observe => "check",
        Verdict::Apply => "apply",
        Verdict::Record => "record",
        Verdict::Pass => "pass",
        Verdict::TryAgain => "try again",
        Verdict::Halt => "halt",
        Verdict::Abort => "abort",
    }
}

fn target(from: Mark, verdict: Verdict) -> &'static str {
    match (verdict, from) {
        (Verdict::Observe, mark) => mark_name(mark),
        (Verdict::Apply, Mark::Kept) => mark_name(Mark::Sealed),
        (Verdict::Apply, Mark::Done) => mark_name(Mark::Redone),
        (Verdict::Apply, _) => mark_name(Mark::Applied),
        (Verdict::Record, _) => mark_name(Mark::Done),
        (Verdict::Pass, _) => "next_step",
        (Verdict::TryAgain, _) => "exit_75",
        (Verdict::Halt, _) => "exit_78",
        (Verdict::Abort, _) => "exit_70",
    }
}
