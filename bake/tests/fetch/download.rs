use std::io::Read;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bake::error::{Error, Exit};
use bake::fetch::{FileRequest, Options};
use bake::io::digest::Sha256;
use url::Url;

use super::server::{Reply, Server, file};
use super::{Bench, data, request, until};

const TAG: &str = "\"v1\"";

fn fetched(bench: &Bench, request: &FileRequest) -> Vec<u8> {
    let mut bytes = Vec::new();
    bench.fetcher().file(request).unwrap().into_inner().read_to_end(&mut bytes).unwrap();
    bytes
}

fn failure(bench: &Bench, request: &FileRequest) -> Error {
    bench.fetcher().file(request).map(|_| ()).unwrap_err()
}

#[test]
fn a_file_is_fetched_once_and_kept_read_only() {
    let content = data(300_000);
    let served = content.clone();
    let server = Server::start(move |r| file(r, &served, TAG));
    let bench = Bench::new();
    let wanted = request(server.url("/a"), &content);
    assert_eq!(fetched(&bench, &wanted), content);
    assert_eq!(fetched(&bench, &wanted), content);
    assert_eq!(server.requests().len(), 1);
    let verified = bench.fetcher().file(&wanted).unwrap();
    assert_eq!((verified.sha256(), verified.len()), (wanted.sha256, 300_000));
    assert!(verified.path().metadata().unwrap().permissions().readonly());
    assert_eq!(bench.files("downloads"), [""; 0]);
}

#[test]
fn a_broken_connection_is_continued_where_it_broke() {
    let content = data(500_000);
    let served = content.clone();
    let server = Server::start(move |r| match r.number {
        0 => file(r, &served, TAG).cut(200_000),
        1 => file(r, &served, TAG).cut(1000),
        _ => file(r, &served, TAG),
    });
    let bench = Bench::new();
    assert_eq!(fetched(&bench, &request(server.url("/a"), &content)), content);
    let asked: Vec<_> =
        server.requests().iter().map(|r| (r.from(), r.headers.get("if-range").cloned())).collect();
    assert_eq!(
        asked,
        [(None, None), (Some(200_000), Some(TAG.into())), (Some(201_000), Some(TAG.into()))]
    );
}

#[test]
fn a_later_run_continues_what_an_earlier_one_left() {
    let content = data(400_000);
    let served = content.clone();
    let server = Server::start(move |r| match r.number {
        0 => file(r, &served, TAG).cut(150_000),
        1 => Reply::new("503 Service Unavailable", ""),
        _ => file(r, &served, TAG),
    });
    let mut bench = Bench::new();
    bench.options.retries = 1;
    let wanted = request(server.url("/a"), &content);
    let error = failure(&bench, &wanted);
    assert!(matches!(error, Error::Hinted { .. }) && error.exit() == Exit::Failed, "{error}");
    assert!(error.to_string().contains("503"), "{error}");
    assert_eq!(bench.files("downloads").len(), 2, "the part and whose it is");
    assert_eq!(fetched(&bench, &wanted), content);
    assert_eq!(server.requests().last().unwrap().from(), Some(150_000));
}

#[test]
fn a_file_that_changed_meanwhile_starts_over() {
    let (old, new) = (data(300_000), data(350_000).split_off(50_000));
    let (a, b) = (old.clone(), new.clone());
    let server = Server::start(move |r| match r.number {
        0 => file(r, &a, TAG).cut(100_000),
        _ => file(r, &b, "\"v2\""),
    });
    let bench = Bench::new();
    assert_eq!(fetched(&bench, &request(server.url("/a"), &new)), new);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_server_without_ranges_is_asked_again_from_the_start() {
    let content = data(200_000);
    let served = content.clone();
    let server = Server::start(move |r| match r.number {
        0 => Reply::new("200 OK", &*served).cut(90_000),
        _ => Reply::new("200 OK", &*served),
    });
    let bench = Bench::new();
    assert_eq!(fetched(&bench, &request(server.url("/a"), &content)), content);
}

#[test]
fn a_server_that_sends_another_range_is_not_believed() {
    let content = data(200_000);
    let served = content.clone();
    let server = Server::start(move |r| match r.number {
        0 => file(r, &served, TAG).cut(90_000),
        1 => Reply::new("206 Partial Content", &served[80_000..])
            .header("Content-Range", "bytes 80000-199999/200000"),
        _ => file(r, &served, TAG),
    });
    let bench = Bench::new();
    assert_eq!(fetched(&bench, &request(server.url("/a"), &content)), content);
}

#[test]
fn parts_that_are_whole_or_too_long_are_dealt_with() {
    let content = data(100_000);
    for (left, requests) in [(content.clone(), 1), (data(120_000), 2)] {
        let served = content.clone();
        let server = Server::start(move |r| file(r, &served, TAG));
        let bench = Bench::new();
        let wanted = request(server.url("/a"), &content);
        let folder = bench.dir.path().join("downloads");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join(format!("{}.part", wanted.sha256)), &left).unwrap();
        assert_eq!(fetched(&bench, &wanted), content);
        assert_eq!(server.requests().len(), requests);
    }
}

#[test]
fn a_part_with_other_bytes_gets_a_second_chance() {
    let content = data(100_000);
    let served = content.clone();
    let server = Server::start(move |r| file(r, &served, TAG));
    let bench = Bench::new();
    let wanted = request(server.url("/a"), &content);
    let folder = bench.dir.path().join("downloads");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join(format!("{}.part", wanted.sha256)), [7; 5000]).unwrap();
    assert_eq!(fetched(&bench, &wanted), content);
    assert!(bench.log.text().contains("from the start"), "{}", bench.log.text());
}

#[test]
fn other_bytes_than_promised_are_removed_and_told() {
    let (promised, served) = (data(50_000), vec![1; 50_000]);
    let found = Sha256::of(&served);
    let server = Server::start(move |r| file(r, &served, TAG));
    let bench = Bench::new();
    let wanted = request(server.url("/a"), &promised);
    let error = failure(&bench, &wanted);
    assert_eq!(error.exit(), Exit::Verification);
    let text = error.to_string();
    assert!(
        text.contains(&wanted.sha256.to_string()) && text.contains(&found.to_string()),
        "{text}"
    );
    assert_eq!((bench.files("downloads"), bench.files("files")), (vec![], vec![]));
}

#[test]
fn what_no_other_try_can_mend_is_tried_once() {
    for (status, word) in [("404 Not Found", "404"), ("403 Forbidden", "403"), ("410 Gone", "410")]
    {
        let server = Server::start(move |_| Reply::new(status, "no"));
        let bench = Bench::new();
        let error = failure(&bench, &request(server.url("/a"), b"x"));
        assert!(error.to_string().contains(word), "{error}");
        assert!(!error.hints().is_empty());
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn what_may_pass_is_tried_again_but_not_for_ever() {
    let server = Server::start(|r| match r.number {
        0 => Reply::new("503 Service Unavailable", "").header("Retry-After", "0"),
        1 => Reply::new("429 Too Many Requests", ""),
        2 => Reply::new("502 Bad Gateway", ""),
        _ => Reply::new("200 OK", "fine"),
    });
    let bench = Bench::new();
    assert_eq!(fetched(&bench, &request(server.url("/a"), b"fine")), b"fine");

    let server = Server::start(|_| Reply::new("500 Internal Server Error", ""));
    let error = failure(&bench, &request(server.url("/a"), b"other"));
    assert!(error.to_string().contains("tried 4 times"), "{error}");
    assert_eq!(server.requests().len(), 4);
    assert_eq!(bench.log.text().matches("Warning").count(), 2, "once for each file");
}

#[test]
fn a_web_page_is_no_file() {
    let page = "<html>Please log in</html>";
    let server = Server::start(move |_| {
        Reply::new("200 OK", page).header("Content-Type", "text/html; charset=utf-8")
    });
    let error = failure(&Bench::new(), &request(server.url("/a.img.xz"), b"x"));
    assert!(error.to_string().contains("web page"), "{error}");
    assert!(error.hints()[0].contains("captive portal"));
}

#[test]
fn lengths_that_contradict_each_other_are_told() {
    let content = data(1000);
    let served = content.clone();
    let server = Server::start(move |r| file(r, &served, TAG));
    let wanted = FileRequest { size: Some(999), ..request(server.url("/a"), &content) };
    let error = failure(&Bench::new(), &wanted);
    assert!(error.to_string().contains("1000 bytes where 999"), "{error}");
    assert_eq!(error.exit(), Exit::Verification);

    // Says less than it sends, says more, says nothing.
    let served = content.clone();
    let server =
        Server::start(move |_| Reply { says: Some(Some(2000)), ..Reply::new("200 OK", &*served) });
    let error = failure(&Bench::new(), &request(server.url("/a"), &content));
    assert!(error.to_string().contains("connection broke"), "{error}");
    let server =
        Server::start(move |_| Reply { says: Some(None), ..Reply::new("200 OK", data(1000)) });
    assert_eq!(fetched(&Bench::new(), &request(server.url("/a"), &content)), content);
    let wanted = FileRequest { size: Some(999), ..request(server.url("/a"), &content) };
    let error = failure(&Bench::new(), &wanted);
    assert!(error.to_string().contains("longer than the 999"), "{error}");
}

#[test]
fn silence_is_not_waited_for_for_ever() {
    let content = data(100_000);
    let served = content.clone();
    let server = Server::start(move |r| match r.number {
        0 => file(r, &served, TAG).stall(40_000),
        _ => file(r, &served, TAG),
    });
    let mut bench = Bench::new();
    bench.options.stall_timeout = Duration::from_secs(2);
    assert_eq!(fetched(&bench, &request(server.url("/a"), &content)), content);
    assert!(bench.log.text().contains("no more data came"), "{}", bench.log.text());
    assert_eq!(server.requests()[1].from(), Some(40_000));
}

#[test]
fn nobody_listening_is_told() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = Url::parse(&format!("http://127.0.0.1:{port}/a")).unwrap();
    let error = failure(&Bench::new(), &request(url, b"x"));
    assert!(error.to_string().to_lowercase().contains("refused"), "{error}");
}

#[test]
fn redirects_are_followed_within_reason() {
    let content = data(5000);
    let served = content.clone();
    let server = Server::start(move |r| match r.path.as_str() {
        "/old" => Reply::new("302 Found", "").header("Location", "/new?token=secret"),
        "/loop" => Reply::new("302 Found", "").header("Location", "/loop"),
        _ => file(r, &served, TAG),
    });
    let bench = Bench::new();
    assert_eq!(fetched(&bench, &request(server.url("/old"), &content)), content);
    let error = failure(&bench, &request(server.url("/loop"), b"x"));
    assert!(error.to_string().contains("too many redirects"), "{error}");
}

#[test]
fn a_mirror_replaces_scheme_and_host() {
    let content = data(5000);
    let served = content.clone();
    let server = Server::start(move |r| file(r, &served, TAG));
    let mut bench = Bench::new();
    bench.options.mirror = Some(Options::parse_mirror(server.url("/cache/").as_str()).unwrap());
    let url = Url::parse("https://downloads.invalid/images/a.img.xz").unwrap();
    assert_eq!(fetched(&bench, &request(url, &content)), content);
    assert_eq!(server.requests()[0].path, "/cache/images/a.img.xz");
    for text in ["ftp://u:secret@a/", "mirror-secret", "https://u:secret@a/?q", "http://a/#f"] {
        let error = Options::parse_mirror(text).unwrap_err();
        assert_eq!(error.exit(), Exit::Usage, "{text}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn plain_http_is_for_this_machine_only() {
    let url = Url::parse("http://user:secret@192.0.2.1/a?token=secret").unwrap();
    let error = failure(&Bench::new(), &request(url, b"x"));
    assert_eq!(error.exit(), Exit::Refused);
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}

#[test]
fn credentials_are_not_shown() {
    let server = Server::start(|_| Reply::new("404 Not Found", ""));
    let mut url = server.url("/a?token=secret");
    url.set_username("user").unwrap();
    url.set_password(Some("secret")).unwrap();
    let bench = Bench::new();
    let error = failure(&bench, &request(url, b"x"));
    let said = format!("{error:?}{}", bench.log.text());
    assert!(!said.contains("secret"), "{said}");
}

#[test]
fn offline_asks_nobody() {
    let server = Server::start(|_| Reply::new("200 OK", "fine"));
    let mut bench = Bench::new();
    let wanted = request(server.url("/a"), b"fine");
    bench.options.offline = true;
    let error = failure(&bench, &wanted);
    assert!(error.hints()[0].contains("--offline"), "{:?}", error.hints());
    assert_eq!(server.requests().len(), 0);
    bench.options.offline = false;
    fetched(&bench, &wanted);
    bench.options.offline = true;
    assert_eq!(fetched(&bench, &wanted), b"fine");
}

#[test]
fn one_download_at_a_time() {
    let content = data(50_000);
    let served = content.clone();
    let (serve, waits) = mpsc::channel();
    let waits = Mutex::new(waits);
    let server = Server::start(move |r| {
        waits.lock().unwrap().recv().unwrap();
        file(r, &served, TAG)
    });
    let bench = Bench::new();
    let wanted = request(server.url("/a"), &content);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(fetched(&bench, &wanted), content));
        }
        let waiting = || bench.log.text().matches("Waiting for another bake").count();
        until("three wait for the first", || waiting() == 3);
        serve.send(()).unwrap();
    });
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn interrupting_keeps_what_came() {
    let content = data(100_000);
    let served = content.clone();
    let server = Server::start(move |r| match r.number {
        0 => file(r, &served, TAG).stall(60_000),
        _ => file(r, &served, TAG),
    });
    let mut bench = Bench::new();
    // The server's silence ends first where nobody heeds the interruption.
    bench.options.stall_timeout = 2 * Server::SILENCE;
    let wanted = request(server.url("/a"), &content);
    let part = bench.dir.path().join(format!("downloads/{}.part", Sha256::of(&content)));
    thread::scope(|scope| {
        scope.spawn(|| {
            let came = || part.metadata().map_or(0, |file| file.len());
            until("what was sent has come", || came() == 60_000);
            bench.options.cancel.cancel();
        });
        let start = Instant::now();
        assert_eq!(failure(&bench, &wanted).exit(), Exit::Interrupted);
        assert!(start.elapsed() < Server::SILENCE / 2, "stopped after {:?}", start.elapsed());
    });
    bench.options.cancel = Default::default();
    assert_eq!(fetched(&bench, &wanted), content);
    assert_eq!(server.requests()[1].from(), Some(60_000));
}

#[test]
fn progress_never_goes_back() {
    let content = data(2_000_000);
    let served = content.clone();
    let server = Server::start(move |r| match r.number {
        0 => Reply::new("200 OK", &*served).cut(1_500_000),
        _ => Reply::new("200 OK", &*served),
    });
    let bench = Bench::new();
    fetched(&bench, &request(server.url("/a"), &content));
    let mut last = 0;
    for line in bench.log.text().lines().filter(|l| l.starts_with("Progress")) {
        let done: u64 = line.rsplit(' ').nth(1).unwrap().parse().unwrap();
        assert!(done > last, "{done} after {last}");
        last = done;
    }
    assert_eq!(last, 2_000_000);
}

#[test]
fn a_server_that_speaks_no_tls_is_told() {
    let server = Server::start(|_| Reply::new("200 OK", "fine"));
    let mut url = server.url("/a");
    url.set_scheme("https").unwrap();
    let error = failure(&Bench::new(), &request(url, b"fine"));
    assert!(error.to_string().contains("tried 4 times"), "{error}");
}
