//! Release folders: complete, checkable, without secrets, and made once.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::Value;

use super::{bench, digest, release, release_as, run, text};

/// Runs a tool in the release folder.
fn within(bench: &super::Bench, command: &str) -> String {
    run("sh", &["-ec", &format!("cd {}; {command}", text(&bench.path("dist")))])
}

#[test]
fn a_folder_has_all_that_a_download_page_needs() {
    let bench = bench();
    run("minisign", &["-GW", "-p", &text(&bench.path("key.pub")), "-s", &text(&bench.path("key"))]);
    fs::create_dir(bench.path("dist")).unwrap();
    fs::write(bench.path("dist/bake-x86_64"), "a program").unwrap();
    let options = ["--sign", "key", "--url", "https://example.org/v1", "--also", "bake-x86_64"];
    let made = release_as("xz", &bench, "dist", &options);
    let images: Vec<&str> =
        made["images"].as_array().unwrap().iter().map(|i| i["file"].as_str().unwrap()).collect();
    assert_eq!(images, ["bake-edge-server-arm64.img.xz", "bake-edge-agent-arm64.img.xz"]);
    let mut files = Vec::new();
    for image in images {
        let suffixes = ["", ".bmap", ".cdx.json", ".intoto.json", ".spdx.json"];
        files.extend(suffixes.map(|suffix| format!("{image}{suffix}")));
        within(&bench, &format!("xz -t {image}"));
    }
    files.extend(
        ["SHA256SUMS", "SHA256SUMS.minisig", "bake-x86_64", "bake.rpi-imager-manifest"]
            .map(String::from),
    );
    files.push("os_list.json".into());
    files.sort();
    let there = within(&bench, "LC_ALL=C ls -A1 | LC_ALL=C sort");
    assert_eq!(there.lines().collect::<Vec<_>>(), files);
    let checked = within(&bench, "sha256sum --strict -c SHA256SUMS");
    assert_eq!(checked.lines().count(), files.len() - 2, "{checked}");
    within(&bench, "minisign -Vm SHA256SUMS -p ../key.pub");
    let mode = fs::metadata(bench.path("dist/bake-edge-server-arm64.img.xz")).unwrap().mode();
    assert_eq!(mode & 0o777, 0o644);

    let list: Value = serde_json::from_str(&within(&bench, "cat os_list.json")).unwrap();
    assert_eq!(super::os_list::complaints(&list), None);
    let server = &list["os_list"][0]["subitems"][0];
    let file = "bake-edge-server-arm64.img.xz";
    assert_eq!(server["url"], format!("https://example.org/v1/{file}"));
    assert_eq!(server["image_download_sha256"], digest(&bench, &format!("dist/{file}")));
    let raw = within(&bench, &format!("xz -dc {file} | tee raw | sha256sum; wc -c raw; rm raw"));
    assert!(raw.contains(server["extract_sha256"].as_str().unwrap()), "{raw}");
    assert!(raw.contains(&server["extract_size"].to_string()), "{raw}");
}

#[test]
fn the_list_has_what_else_is_in_the_folder_and_cosigns_signature() {
    let bench = bench();
    let [key, public] = ["cosign.key", "cosign.pub"].map(|name| text(&bench.path(name)));
    let curve = |name: &str| format!("ec_paramgen_curve:{name}");
    run("openssl", &["genpkey", "-algorithm", "EC", "-pkeyopt", &curve("P-256"), "-out", &key]);
    run("openssl", &["pkey", "-in", &key, "-pubout", "-out", &public]);
    fs::create_dir(bench.path("dist")).unwrap();
    fs::write(bench.path("dist/bake-x86_64"), "a program").unwrap();
    release(&bench, "dist", &["--sign-cosign", "cosign.key", "--also", "bake-x86_64"]);
    let sums = within(&bench, "sha256sum --strict -c SHA256SUMS");
    assert!(sums.contains("bake-x86_64: OK"), "{sums}");
    // What `cosign verify-blob --key` does with it (sigstore's specification).
    let verify = "base64 -d SHA256SUMS.sig >../raw.sig
        openssl dgst -sha256 -verify ../cosign.pub -signature ../raw.sig SHA256SUMS";
    assert!(within(&bench, verify).contains("Verified OK"));
    // Another program, or another list, is seen.
    fs::write(bench.path("dist/bake-x86_64"), "a pr0gram").unwrap();
    let refused = |command: &str| within(&bench, &format!("! {{ {command}; }} 2>&1"));
    assert!(refused("sha256sum --strict -c SHA256SUMS").contains("bake-x86_64: FAILED"));
    within(&bench, "cp SHA256SUMS ../sums; sed -i s/^./0/ SHA256SUMS");
    assert!(refused(verify).contains("Verification failure"));
    // With another list the old signature goes.
    release(&bench, "dist", &["--also", "bake-x86_64"]);
    assert!(!bench.path("dist/SHA256SUMS.sig").exists());

    run("openssl", &["genpkey", "-algorithm", "EC", "-pkeyopt", &curve("P-384"), "-out", &key]);
    let traditional = text(&bench.path("traditional.key"));
    run("openssl", &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", &traditional]);
    let label = "ENCRYPTED SIGSTORE PRIVATE KEY";
    let own = format!("-----BEGIN {label}-----\nZW5jcnlwdGVk\n-----END {label}-----\n");
    fs::write(bench.path("own.key"), own).unwrap();
    for (option, value, words) in [
        ("--sign-cosign", "cosign.key", "none of P-256"),
        ("--sign-cosign", "traditional.key", "nor a PRIVATE KEY (PKCS#8)"),
        ("--sign-cosign", "own.key", "not what cosign writes"),
        ("--sign-cosign", "k3s", "it is not PEM"),
        ("--also", "../edge.yaml", "the name of a file in dist"),
        ("--also", "SHA256SUMS", "the name of a file in dist"),
    ] {
        let fixed = "release --profiles ./edge.yaml --out-dir dist --k3s k3s --firstboot firstboot";
        let arguments: Vec<&str> = fixed.split(' ').chain([option, value]).collect();
        let out = bench.run(&arguments);
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(2) && said.contains(words), "{value}: {said}");
        assert!(!said.contains("ZW5j"), "{said}");
    }
}

#[test]
fn what_would_be_the_same_is_kept() {
    let bench = bench();
    let kept = |made: &Value| -> Vec<bool> {
        made["images"].as_array().unwrap().iter().map(|i| i["kept"] == true).collect()
    };
    assert_eq!(kept(&release(&bench, "dist", &[])), [false, false]);
    let sums = within(&bench, "cat SHA256SUMS");
    assert_eq!(kept(&release(&bench, "dist", &[])), [true, true]);
    assert_eq!(within(&bench, "cat SHA256SUMS"), sums);
    let server = bench.path("dist/bake-edge-server-arm64.img.zst");
    // Damaged, and another K3s: both are made anew, the first as it was.
    fs::write(&server, "damaged").unwrap();
    assert_eq!(kept(&release(&bench, "dist", &[])), [false, true]);
    assert_eq!(within(&bench, "cat SHA256SUMS"), sums);
    bench.script("k3s", "#!/bin/sh\nexec sleep 5\n");
    assert_eq!(kept(&release(&bench, "dist", &[])), [false, false]);
    assert_ne!(within(&bench, "cat SHA256SUMS"), sums);
}

/// What somebody else put there under a release's names stays, and is told before anything is baked.
#[test]
fn what_no_release_left_is_replaced_only_with_force() {
    let bench = bench();
    let dist = bench.path("dist");
    let refused = |words: &str, more: &[&str]| {
        let before = within(&bench, "sha256sum *");
        let fixed = "release --profiles ./edge.yaml --out-dir dist --k3s k3s --firstboot firstboot \
                     --compress zst";
        let out = bench.run(&fixed.split_whitespace().chain(more.to_owned()).collect::<Vec<_>>());
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(4) && said.contains(words), "{words}: {said}");
        assert!(said.contains("--force") && !said.contains("Editing"), "{said}");
        assert_eq!(within(&bench, "sha256sum *"), before);
    };
    fs::create_dir(&dist).unwrap();
    let agent = "bake-edge-agent-arm64.img.zst";
    let beside = format!("{agent}.bmap");
    for name in ["os_list.json", "SHA256SUMS", "SHA256SUMS.sig", agent, &beside] {
        fs::write(dist.join(name), format!("11 *{agent}\n")).unwrap();
        refused(&format!("overwrite dist/{name}"), &[]);
        if name != agent {
            fs::remove_file(dist.join(name)).unwrap();
        }
    }
    let made = release(&bench, "dist", &["--force"]);
    assert_eq!(made["images"][1]["file"], agent);
    within(&bench, "sha256sum --strict -c SHA256SUMS");
    // The same again, and where the list had not been written yet.
    release(&bench, "dist", &[]);
    within(&bench, "rm SHA256SUMS os_list.json bake.rpi-imager-manifest");
    let again = release(&bench, "dist", &[]);
    assert!(again["images"].as_array().unwrap().iter().all(|image| image["kept"] == true));
    // Another image than the list names, whose documents went with the one that was made.
    within(&bench, &format!("sed -i /agent/d SHA256SUMS; rm {agent}.intoto.json"));
    refused("dist/bake-edge-agent-arm64.img.zst", &[]);
    // `--no-sbom` leaves none of those of before.
    release(&bench, "dist", &["--force", "--no-sbom"]);
    within(&bench, "sha256sum --strict -c SHA256SUMS; ! ls *.spdx.json *.intoto.json 2>&1");
    // The same name twice, and one that is no file.
    let fails = |profiles: &[&str], status: i32, words: &str| {
        let fixed = "release --out-dir dist --k3s k3s --firstboot firstboot --compress zst --force";
        let named = profiles.iter().flat_map(|profile| ["--profiles", profile]);
        let out = bench.run(&fixed.split(' ').chain(named).collect::<Vec<_>>());
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(status) && said.contains(words), "{words}: {said}");
    };
    fails(&["./edge.yaml", "./edge.yaml"], 2, "two of the profiles have an image bake-edge-server");
    fs::remove_file(dist.join(agent)).unwrap();
    fs::create_dir(dist.join(agent)).unwrap();
    fails(&["./edge.yaml"], 4, "name a regular file");
}

#[test]
fn nothing_of_a_node_or_a_secret_is_in_it() {
    let bench = bench();
    // Secrets that exist are not used, let alone released.
    bench.baked("alpha", &["--out", "alpha.img"]);
    release(&bench, "dist", &[]);
    within(&bench, "zstd -dqk bake-edge-server-arm64.img.zst bake-edge-agent-arm64.img.zst");
    let secrets: Value =
        serde_json::from_str(&fs::read_to_string(bench.path("edge.secrets.json")).unwrap())
            .unwrap();
    let mut words = vec!["192.168.24.11".to_owned(), "\"alpha\"".to_owned()];
    collect(&secrets, &mut words);
    assert!(words.len() > 10, "the secrets file has more than {words:?}");
    fs::write(bench.path("words"), words.join("\n")).unwrap();
    for image in ["bake-edge-server-arm64.img", "bake-edge-agent-arm64.img"] {
        let found = within(&bench, &format!("grep -aoFf ../words {image} || [ $? = 1 ]"));
        assert_eq!(found, "", "{image}");
        let listed = bench.done(&["ls", &format!("dist/{image}:/etc/bake")]);
        assert!(!listed.contains("node.json") && !listed.contains("secrets"), "{listed}");
    }
    // The scan would find them.
    let found = within(&bench, "grep -aoFf ../words ../alpha.img | sort -u");
    assert!(found.lines().count() >= 4, "only these are in a node's image: {found}");
}

/// Every line of text in the secrets that nobody could guess.
fn collect(value: &Value, words: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            words.extend(
                text.lines().filter(|l| l.len() >= 16 && !l.contains("-----")).map(str::to_owned),
            );
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, words)),
        Value::Object(map) => map.values().for_each(|item| collect(item, words)),
        _ => {}
    }
}
