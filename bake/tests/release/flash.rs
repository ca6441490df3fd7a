//! A release image becomes the node on its way to the card.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;

use ::bake::error::{Error, Exit};
use ::bake::event::Silent;
use ::bake::fetch::{Cache, Fetcher, Options};
use ::bake::io::digest::Sha256;
use ::bake::io::sealed::Keys;
use ::bake::job::build::{Sources, Workshop};
use ::bake::job::flash::{Content, FromImage, FromProfile, Ledger, Origin, Subject, Supply};
use ::bake::profile::{NodePlan, Profile, Search, SecretsFile};
use ::bake::store::BlockStore;
use ::bake::sys::interrupt::Cancel;

use super::{Bench, bench, release, run, text};

const SERVER: &str = "dist/bake-edge-server-arm64.img.zst";

fn fetcher(bench: &Bench) -> Fetcher<'static> {
    let cache = Cache::open(Some(&bench.path("cache"))).unwrap();
    Fetcher::new(cache, Options::default(), &Silent)
}

/// The plans of some nodes, what they are made of, and the cluster's secrets.
fn plans(bench: &Bench, nodes: &[&str], sets: &[&str]) -> (Vec<NodePlan>, Sources, SecretsFile) {
    let source = Search::usual().find(&text(&bench.path("edge.yaml"))).unwrap();
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let profile = Profile::read(&source, &sets).unwrap();
    let path = profile.secrets_path(None);
    let (members, keys) = (profile.members(), Keys::default());
    let secrets = SecretsFile::open(&path, profile.cluster(), &members, &keys).unwrap();
    let plan = |node: &&str| profile.plan(node, secrets.secrets()).unwrap();
    let profile_sha256 = Some(Sha256::of(source.text.as_bytes()).to_string());
    let sources = Sources { profile_sha256, ..Sources::default() };
    (nodes.iter().map(plan).collect(), sources, secrets)
}

/// Whether what goes onto a card is that image, wherever it matters.
fn assert_is(content: &Content, image: &Path) {
    let file = fs::File::open(image).unwrap();
    let card = content.image.lock().unwrap();
    assert_eq!(card.len(), file.metadata().unwrap().len());
    let mut compared = 0;
    for range in content.used.ranges() {
        for at in range.clone().step_by(1 << 20) {
            let len = (range.end - at).min(1 << 20) as usize;
            let (mut ours, mut theirs) = (vec![0; len], vec![0; len]);
            card.read_at(at, &mut ours).unwrap();
            file.read_exact_at(&mut theirs, at).unwrap();
            assert!(ours == theirs, "{} from byte {at}", image.display());
            compared += len;
        }
    }
    assert!(compared > 4 << 20, "{compared} bytes are no image");
}

#[test]
fn each_card_is_the_image_that_personalising_or_baking_gives() {
    let bench = bench();
    release(&bench, "dist", &[]);
    let options = ["--profile", "./edge.yaml", "--node", "alpha", "--out", "alpha.img"];
    bench.done(&[&["personalise", SERVER][..], &options].concat());

    let (plans, sources, mut secrets) = plans(&bench, &["alpha", "beta"], &[]);
    let image = bench.path(SERVER);
    let digest = run("sha256sum", &[&text(&image)])[..64].parse().unwrap();
    let workshop =
        Workshop::released(&image, Some(digest), &plans, &sources, &fetcher(&bench)).unwrap();
    let ledger = Ledger::beside(secrets.path(), &secrets.secrets().id).unwrap();
    let claims = Mutex::new((&mut secrets, BTreeSet::new()));
    let supply = FromProfile { workshop: &workshop, plans: &plans, claims, ledger: &ledger };
    let card = |name: &str, incarnation: u32| {
        let content = supply.make(Some(name), &Silent, &Cancel::new()).unwrap();
        assert_eq!(content.subject, Some(Subject { node: name.to_owned(), incarnation }));
        content
    };
    assert_is(&card("alpha", 1), &bench.path("alpha.img"));
    let (beta, another) = (card("beta", 1), card("alpha", 2));
    // What baking claims is what the card claimed.
    for (name, content) in [("beta", beta), ("alpha", another)] {
        bench.baked(name, &["--out", "baked.img", "--force"]);
        assert_is(&content, &bench.path("baked.img"));
    }
}

#[test]
fn where_the_base_came_from_makes_no_other_card_of_it() {
    let bench = bench();
    // The profile names an image that is nowhere. Of a raw one nobody knows the digest.
    let elsewhere = fs::read_to_string(bench.path("edge.yaml")).unwrap();
    let elsewhere = elsewhere.replace("./base.img.xz", "raspios-lite-arm64-bookworm");
    fs::write(bench.path("edge.yaml"), elsewhere).unwrap();
    for (base, name) in [("base.img.xz", "alpha"), ("base.img", "beta")] {
        release(&bench, &format!("dist-{base}"), &["--base", base]);
        let image = format!("dist-{base}/bake-edge-server-arm64.img.zst");
        let options = ["--profile", "./edge.yaml", "--node", name, "--out", "personal.img"];
        bench.done(&[&["personalise", &image, "--force"][..], &options].concat());
        bench.baked(name, &["--base", base, "--out", "baked.img", "--force"]);
        run("cmp", &[&text(&bench.path("personal.img")), &text(&bench.path("baked.img"))]);
        let secrets = fs::read_to_string(bench.path("edge.secrets.json")).unwrap();
        let secrets: serde_json::Value = serde_json::from_str(&secrets).unwrap();
        assert_eq!(secrets["nodes"][name]["incarnation"], 1, "the same inputs");
    }
}

#[test]
fn a_nobodys_image_is_never_flashed_and_a_nodes_becomes_no_other() {
    let bench = bench();
    release(&bench, "dist", &[]);
    bench.baked("gamma", &["--out", "gamma.img"]);
    let (image, fetcher) = (bench.path(SERVER), fetcher(&bench));
    let alone = FromImage::open(&image, &Origin::default(), &fetcher, &Cancel::new()).unwrap_err();
    assert_eq!(alone.exit(), Exit::Usage);
    assert!(alone.to_string().contains("and no node yet"), "{alone}");
    let hints = alone.hints();
    assert!(hints[0].contains("--profile P --node N") && hints[1].contains("--delta"), "{hints:?}");

    let kept = fs::read(bench.path("edge.secrets.json")).unwrap();
    let refused = |image: &str, sha256: Option<Sha256>, nodes: &[&str], sets: &[&str]| -> Error {
        let (plans, sources, _) = plans(&bench, nodes, sets);
        Workshop::released(&bench.path(image), sha256, &plans, &sources, &fetcher).unwrap_err()
    };
    let other = ["system.timezone=UTC"];
    for (image, nodes, sets, words) in [
        ("gamma.img", &["alpha"][..], &[][..], "it is gamma already"),
        ("base.img", &["alpha"], &[], "nothing was baked into it"),
        (SERVER, &["alpha", "worker"], &[], "of another role than worker"),
        (SERVER, &["beta"], &other, "from another profile"),
    ] {
        let error = refused(image, None, nodes, sets);
        assert_eq!(error.exit(), Exit::Usage, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    let error = refused(SERVER, Some(Sha256::of(b"another")), &["alpha"], &[]);
    assert_eq!(error.exit(), Exit::Verification, "{error}");
    assert_eq!(fs::read(bench.path("edge.secrets.json")).unwrap(), kept, "no card was claimed");

    for (option, value) in [("--k3s", "k3s"), ("--base", "base.img"), ("--delta", "node.delta")] {
        let fixed = ["flash", SERVER, "--profile", "./edge.yaml", option, value];
        let out = bench.run(&fixed);
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(2) && said.contains("cannot be used with"), "{said}");
    }
}
