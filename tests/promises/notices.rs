//! Who is told: hooks and mail, once, in time, whoever is killed.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::{House, Need, is_root, skipped, wait_for};

/// A hook that writes down what it was told: its event, count, state and reason, and what it got on
/// standard input.
const TELL: &str = r#"on_failure = "@T@/tell"
on_recovery = "@T@/tell"
on_success = "@T@/tell"
on_attempt_failure = "@T@/tell"
on_late = "@T@/tell"
"#;

fn house(jobs: &str) -> House {
    let house = House::new(jobs);
    program_of(
        &house,
        "tell",
        "#!/bin/sh\njson=$(cat)\n\
         echo \"$JOBCTL_EVENT $JOBCTL_COUNT $JOBCTL_STATE ${JOBCTL_REASON:--} $JOBCTL_JOB $JOBCTL_RUN.$JOBCTL_ATTEMPT\" >> \"$T/told\"\n\
         printf '%s\\n' \"$json\" >> \"$T/json\"\n",
    );
    house
}

fn program_of(house: &House, name: &str, text: &str) {
    house.write(name, text);
    fs::set_permissions(house.path(name), fs::Permissions::from_mode(0o755)).expect("it is ours");
}

/// A `sendmail` that keeps its arguments and the last mail.
fn install_mailer(house: &House) {
    program_of(
        house,
        "sendmail",
        "#!/bin/sh\necho \"$@\" >> \"$T/args\"; cat > \"$T/mail.new\"; mv \"$T/mail.new\" \"$T/mail\"\n",
    );
}

fn mail_of(house: &House) -> String {
    wait_for("a mail", || Some(house.read("mail")).filter(|mail| !mail.is_empty()))
}

fn told(house: &House, count: usize) -> Vec<String> {
    house.wait_lines("told", count)
}

#[test]
fn each_event_has_its_hook_and_a_failure_is_told_once_per_giving_up() {
    let house = house(&format!(
        "[defaults]\n{TELL}\n[jobs.work]\nretry = {{ max = 1, delay = \"1ms\" }}\n\
         command = 'test -e \"$T/good\" || {{ echo broken; exit 3; }}'\n"
    ));
    let supervisor = house.start();
    let id = house.enqueue(&["work"]);
    house.wait_state(id, "failed");
    let mut first = told(&house, 3);
    first.sort();
    assert_eq!(
        first,
        [
            format!("attempt_failure 1 failed exit work {id}.2"),
            format!("attempt_failure 1 retrying - work {id}.1"),
            format!("failure 1 failed exit work {id}.2"),
        ]
    );
    let json: Value = serde_json::from_str(&house.wait_lines("json", 3)[2]).expect("JSON");
    assert_eq!((&json["id"], &json["job"]), (&id.into(), &"work".into()));
    house.write("good", "");
    let second = house.enqueue(&["work"]);
    house.wait_state(second, "succeeded");
    let mut rest = told(&house, 5).split_off(3);
    rest.sort();
    assert_eq!(
        rest,
        [
            format!("recovery 1 succeeded - work {second}.1"),
            format!("success 1 succeeded - work {second}.1"),
        ]
    );
    // The success after the recovery is none.
    let third = house.enqueue(&["work"]);
    house.wait_state(third, "succeeded");
    assert_eq!(told(&house, 6)[5], format!("success 1 succeeded - work {third}.1"));
    let hooks = wait_for("the hooks are on record", || {
        let hooks = house.show(id)["hooks"].clone();
        let all = hooks.as_array()?;
        all.iter().all(|hook| hook["done"] == true).then_some(hooks)
    });
    assert_eq!(hooks.as_array().map(Vec::len), Some(3));
    assert_eq!(
        (&hooks[2]["event"], &hooks[2]["means"], &hooks[2]["exit_code"]),
        (&"failure".into(), &"hook".into(), &0.into())
    );
    let shown = house.ask(&["show", &id.to_string()]).expect(0).out;
    assert!(shown.contains("TOLD") && shown.contains("attempt_failure  hook"), "{shown}");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_storm_is_one_hook_in_the_interval_and_the_next_one_tells_the_count() {
    let house = house(
        "[jobs.work]\ncommand = 'exit 1'\non_failure = \"@T@/tell\"\nhook_interval = \"3s\"\nmailto = 'ops'\n\
         env = { PATH = '@T@:/usr/bin:/bin' }\n",
    );
    program_of(&house, "sendmail", "#!/bin/sh\ncat >> \"$T/mail\"; echo . >> \"$T/mails\"\n");
    let supervisor = house.start();
    let ids: Vec<i64> = (0..5).map(|_| house.enqueue(&["work"])).collect();
    for id in &ids {
        house.wait_state(*id, "failed");
    }
    let lines = told(&house, 2);
    assert_eq!(
        lines,
        [
            format!("failure 1 failed exit work {}.1", ids[0]),
            format!("failure 4 failed exit work {}.1", ids[4]),
        ]
    );
    house.wait_lines("mails", 2);
    let mail = house.read("mail");
    assert!(mail.contains("covers 4 events since the last one"), "{mail}");
    assert_eq!(supervisor.stop(), 0);
    assert_eq!(house.lines("mails").len(), 2);
    assert_eq!(house.lines("told").len(), 2);
}

#[test]
fn a_mail_has_a_subject_the_exit_status_and_the_output() {
    let house = house(
        "[jobs.work]\ncommand = 'echo \"cannot open /x\"; exit 3'\nmailto = 'ops@example.org'\n\
         env = { PATH = '@T@:/usr/bin:/bin' }\n",
    );
    install_mailer(&house);
    let supervisor = house.start();
    let id = house.enqueue(&["work"]);
    let mail = mail_of(&house);
    assert_eq!(house.lines("args"), ["-i -t"]);
    let (head, body) = mail.split_once("\n\n").expect("a head and a body");
    assert!(head.starts_with("To: ops@example.org\nSubject: jobctl <"), "{mail}");
    assert!(head.contains("> work: failed (exit 3)\n"), "{mail}");
    assert!(head.contains("Content-Type: text/plain; charset=UTF-8"), "{mail}");
    for line in [
        format!("run          {id}\n"),
        "exit status  3\n".to_owned(),
        "\ncannot open /x\n".to_owned(),
    ] {
        assert!(body.contains(&line), "{line}: {mail}");
    }
    assert_eq!(supervisor.stop(), 0);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a day passes in the store only")]
fn a_forgotten_pause_is_told_with_who_paused_and_why() {
    let house = house(
        "[jobs.work]\ncommand = 'true'\nmailto = 'ops'\non_late = '@T@/tell'\n\
         env = { PATH = '@T@:/usr/bin:/bin' }\n",
    );
    install_mailer(&house);
    house.enqueue(&["work"]);
    house.ask(&["pause", "work", "--reason", "new disk"]).expect(0);
    let store = rusqlite::Connection::open(house.state_dir().join("jobctl.db"));
    let ago = "UPDATE job SET paused_at = paused_at - 86400000";
    store.and_then(|store| store.execute(ago, [])).expect("it is there");
    let supervisor = house.start();
    assert_eq!(told(&house, 1), ["late 1  paused work ."]);
    let mail = mail_of(&house);
    assert!(mail.contains("> work: late (paused since 20"), "{mail}");
    assert!(mail.contains(": new disk)\n"), "{mail}");
    assert!(house.read("log").contains("event=late job=work paused_since="));
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_mail_of_much_output_has_its_beginning_and_its_end() {
    let house = house(
        "[jobs.work]\ncommand = 'echo first; seq 1000000; echo last; exit 3'\noutput_max = '4 MiB'\nmailto = 'ops'\n\
         env = { PATH = '@T@:/usr/bin:/bin' }\n",
    );
    install_mailer(&house);
    let supervisor = house.start();
    house.enqueue(&["work"]);
    let mail = mail_of(&house);
    assert!(mail.len() < 70_000, "{} bytes", mail.len());
    let (_, output) = mail.split_once("\nfirst\n1\n2\n").expect("its beginning");
    assert!(output.contains(" bytes left out]\n"));
    assert!(output.ends_with("\n1000000\nlast\n"));
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn with_mail_on_output_what_is_printed_is_mailed_and_silence_is_not() {
    let house = house(
        "[defaults]\nmailto = 'ops'\nhook_interval = '0s'\nenv = { PATH = '@T@:/usr/bin:/bin' }\n\
         [jobs.loud]\nmail_on = 'output'\ncommand = 'echo hello'\n[jobs.quiet]\nmail_on = 'output'\ncommand = 'true'\n\
         [jobs.usual]\ncommand = 'echo hello'\n",
    );
    program_of(&house, "sendmail", "#!/bin/sh\ngrep ^Subject >> \"$T/subjects\"\n");
    let supervisor = house.start();
    for job in ["quiet", "usual", "loud"] {
        let id = house.enqueue(&[job]);
        house.wait_state(id, "succeeded");
    }
    let subjects = house.wait_lines("subjects", 1);
    assert_eq!(supervisor.stop(), 0);
    assert_eq!(house.lines("subjects"), subjects);
    assert!(subjects[0].ends_with("loud: output (exit 0)"), "{subjects:?}");
}

#[test]
fn what_was_to_be_told_when_the_supervisor_was_killed_is_told_by_the_next_one() {
    let house = house("[jobs.work]\ncommand = 'exit 1'\non_failure = '@T@/slow'\n");
    nix::unistd::mkfifo(&house.path("door"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    program_of(
        &house,
        "slow",
        "#!/bin/sh\necho begun >> \"$T/begun\"\nread _ < \"$T/door\"\necho told >> \"$T/told\"\n",
    );
    let supervisor = house.start();
    let id = house.enqueue(&["work"]);
    house.wait_lines("begun", 1);
    supervisor.kill();
    let supervisor = house.start();
    // The hook lives on, and is the next supervisor's.
    fs::write(house.path("door"), "\n").expect("somebody reads");
    told(&house, 1);
    wait_for("its end is on record", || (house.show(id)["hooks"][0]["done"] == true).then_some(()));
    assert_eq!(house.show(id)["hooks"][0]["tries"], 1);
    assert_eq!(supervisor.stop(), 0);
    assert_eq!((house.lines("begun").len(), house.lines("told").len()), (1, 1));
}

#[test]
fn what_a_restored_store_was_to_tell_is_told_no_more_and_says_so() {
    let house =
        house("[jobs.work]\ncommand = 'exit 1'\non_failure = '@T@/tell'\nhook_interval = '1h'\n");
    let supervisor = house.start();
    let first = house.enqueue(&["work"]);
    told(&house, 1);
    let second = house.enqueue(&["work"]);
    house.wait_state(second, "failed");
    let backup = house.path("backup").display().to_string();
    house.ask(&["backup", &backup]).expect(0);
    assert_eq!(supervisor.stop(), 0);
    assert_eq!(house.show(second)["hooks"][0]["done"], false);
    house.ask(&["restore", &backup]).expect(0);
    let supervisor = house.start();
    let hook = house.show(second)["hooks"][0].clone();
    assert_eq!(
        (&hook["done"], &hook["error"]),
        (&true.into(), &"the store was restored from a backup".into())
    );
    assert_eq!(house.show(first)["hooks"][0]["exit_code"], 0);
    assert_eq!(supervisor.stop(), 0);
    assert_eq!(house.lines("told").len(), 1);
}

#[test]
fn a_hook_that_hangs_or_cannot_be_started_is_in_the_way_of_no_job() {
    let house = house(
        "[defaults]\nhook_interval = '0s'\n[jobs.hang]\ncommand = 'exit 1'\non_failure = 'cat < \"$T/door\"'\n\
         [jobs.gone]\ncommand = 'exit 1'\non_failure = ['/no/such/program']\n[jobs.next]\ncommand = 'true'\n",
    );
    nix::unistd::mkfifo(&house.path("door"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let supervisor = house.start();
    for _ in 0..8 {
        let id = house.enqueue(&["gone"]);
        house.wait_state(id, "failed");
    }
    house.wait_text("log", "event=hook_failed");
    let log = house.read("log");
    assert_eq!(log.matches("event=hook_failed").count(), 1, "{log}");
    for _ in 0..6 {
        let id = house.enqueue(&["hang"]);
        house.wait_state(id, "failed");
    }
    let id = house.enqueue(&["next"]);
    house.wait_state(id, "succeeded");
    let log = house.read("log");
    assert_eq!(log.matches("event=hook_failed").count(), 1, "{log}");
    supervisor.kill();
}

#[test]
fn status_says_that_nobody_was_told_until_the_failure_is_acknowledged() {
    let house = house(
        "[defaults]\nhook_interval = '0s'\n[jobs.gone]\ncommand = 'exit 1'\non_failure = ['/no/such/program']\n\
         [jobs.bad]\ncommand = 'exit 1'\non_failure = 'echo no route; exit 7'\non_attempt_failure = '@T@/tell'\n\
         [jobs.good]\ncommand = 'exit 1'\non_failure = '@T@/tell'\n",
    );
    let supervisor = house.start();
    let ids = ["gone", "bad", "good"].map(|job| {
        let id = house.enqueue(&[job]);
        house.wait_state(id, "failed");
        wait_for("its hooks end", || {
            let hooks = house.show(id)["hooks"].clone();
            let all = hooks.as_array().filter(|hooks| !hooks.is_empty())?;
            all.iter().all(|hook| hook["done"] == true).then_some(())
        });
        id
    });
    let page = house.ask(&["status"]).expect(0).out;
    let gone = format!("no alert delivered for run {} (gone): on_failure not started (", ids[0]);
    let bad = format!(
        "some alerts failed for run {} (bad): on_failure exit 7 (output: no route)\n",
        ids[1]
    );
    assert!(page.contains(&gone) && page.contains(&bad), "{page}");
    assert_eq!(page.matches("alert").count(), 2, "{page}");
    let page = house.ask(&["status", "gone"]).expect(0).out;
    assert!(page.contains(&gone) && !page.contains(&bad), "{page}");
    let untold = house.status()["untold"].clone();
    assert_eq!(untold.as_array().map(Vec::len), Some(2), "{untold:#}");
    assert_eq!(
        (&untold[0]["run"], &untold[0]["exit_code"], &untold[1]["outcome"]),
        (&ids[1].into(), &7.into(), &"spawn_failed".into())
    );
    house.ask(&["ack", "--failed"]).expect(0);
    let page = house.ask(&["status"]).expect(0).out;
    assert!(!page.contains("alert"), "{page}");
    assert_eq!(house.status()["untold"], serde_json::json!([]));
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_hook_runs_as_the_user_of_the_job_and_outside_its_lock() {
    let house = house(
        "[jobs.work]\ncommand = 'exit 1'\nlock = 'shared'\non_failure = 'id -u >> \"$T/ids\"; read _ < \"$T/door\"'\n\
         [jobs.other]\ncommand = 'true'\nlock = 'shared'\n",
    );
    nix::unistd::mkfifo(&house.path("door"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let supervisor = house.start();
    let id = house.enqueue(&["work"]);
    house.wait_state(id, "failed");
    let ids = house.wait_lines("ids", 1);
    assert_eq!(ids[0], nix::unistd::geteuid().to_string());
    let other = house.enqueue(&["other"]);
    house.wait_state(other, "succeeded");
    fs::write(house.path("door"), "\n").expect("somebody reads");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn an_attempt_that_takes_too_long_is_late_once() {
    let house = house(
        "[jobs.work]\ncommand = 'read _ < \"$T/door\"'\nexpect_within = '200ms'\non_late = '@T@/tell'\n",
    );
    nix::unistd::mkfifo(&house.path("door"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let supervisor = house.start();
    house.ask(&["status", "--quiet"]).expect(0);
    let id = house.enqueue(&["work"]);
    assert_eq!(told(&house, 1), [format!("late 1 running - work {id}.1")]);
    assert_eq!(house.show(id)["late"], true);
    assert_eq!(house.status()["jobs"][0]["late"], true);
    house.ask(&["status", "--quiet"]).expect(1);
    fs::write(house.path("door"), "\n").expect("somebody reads");
    house.wait_state(id, "succeeded");
    house.ask(&["status", "--quiet"]).expect(0);
    assert_eq!(supervisor.stop(), 0);
    assert_eq!(house.lines("told").len(), 1);
}

#[test]
fn a_job_without_a_success_for_too_long_is_late_until_the_next_one() {
    let house = house(
        "[jobs.span]\ncommand = 'true'\nexpect_every = '300ms'\non_late = '@T@/tell'\n\
         [jobs.auto]\ncommand = 'test -e \"$T/good\"'\nschedule = '@every 1s'\non_late = 'echo auto >> \"$T/auto\"'\n",
    );
    let supervisor = house.start();
    assert!(told(&house, 1)[0].starts_with("late 1  - span"), "{:?}", told(&house, 1));
    house.wait_lines("auto", 1);
    let failed = house.runs("auto");
    assert!(failed.iter().filter(|run| run["state"] == "failed").count() >= 3);
    let late = |name: &str| {
        let status = house.status();
        let jobs = status["jobs"].as_array().expect("jobs").clone();
        jobs.iter().any(|job| job["name"] == name && job["late"] == true)
    };
    assert!(late("auto") && late("span"));
    house.write("good", "");
    wait_for("a success", || (!late("auto")).then_some(()));
    assert_eq!(supervisor.stop(), 0);
    assert_eq!(house.lines("auto").len(), 1);
}

/// Answers requests of HTTP on a port of its own until it has had so many; they come one after
/// another.
fn http_server(count: usize) -> (u16, std::thread::JoinHandle<Vec<String>>) {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it has an address").port();
    let answer = move || {
        let mut requests = Vec::new();
        while requests.len() < count {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut bytes = Vec::new();
            let mut chunk = [0; 4096];
            loop {
                let len = stream.read(&mut chunk).expect("a request");
                bytes.extend_from_slice(&chunk[..len]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else {
                    continue;
                };
                let length = head.lines().find_map(|line| {
                    line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()
                });
                if len == 0 || body.len() >= length.unwrap_or(0) {
                    break;
                }
            }
            requests.push(String::from_utf8_lossy(&bytes).into_owned());
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
        requests
    };
    (port, std::thread::spawn(answer))
}

#[test]
fn the_hooks_in_contrib_reach_a_server() {
    if crate::support::program("curl").arg("--version").output().is_err() {
        crate::support::skipped(crate::support::Need::Curl, "there is no curl");
        return;
    }
    let contrib = concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/hooks");
    for (hook, variable, path) in [
        ("webhook", "WEBHOOK_URL", "/in"),
        ("healthchecks", "PING_URL", "/ping"),
        ("ntfy", "NTFY_URL", "/topic"),
        ("slack", "SLACK_URL", "/services/T/B"),
    ] {
        let (port, server) = http_server(1);
        let house = House::new(&format!(
            "[jobs.work]\ncommand = 'exit 3'\non_failure = ['{contrib}/{hook}']\n\
             env = {{ {variable} = 'http://127.0.0.1:{port}{path}', WEBHOOK_TOKEN = 'se\"c\\ret', NTFY_TOKEN = 'se\"c\\ret' }}\n"
        ));
        let supervisor = house.start();
        let id = house.enqueue(&["work"]);
        house.wait_state(id, "failed");
        let hook_end = wait_for("the hook's end", || {
            let hooks = house.show(id)["hooks"].clone();
            (hooks[0]["done"] == true).then(|| hooks[0].clone())
        });
        assert_eq!(hook_end["exit_code"], 0, "{hook}: {hook_end}");
        assert_eq!(supervisor.stop(), 0);
        let request = server.join().expect("the server ends").remove(0);
        let (head, body) = request.split_once("\r\n\r\n").expect("a head and a body");
        let asked = head.lines().next().expect("a first line").to_owned();
        match hook {
            "webhook" => {
                let body: Value = serde_json::from_str(body).expect("JSON");
                assert_eq!(asked, "POST /in HTTP/1.1");
                assert_eq!((&body["event"], &body["run"]["id"]), (&"failure".into(), &id.into()));
                assert!(head.contains("Authorization: Bearer se\"c\\ret"), "{head}");
            }
            "healthchecks" => {
                assert_eq!(asked, "POST /ping/fail HTTP/1.1");
                assert!(body.starts_with("work: failure (exit)"), "{body}");
            }
            "ntfy" => {
                assert_eq!(asked, "POST /topic HTTP/1.1");
                assert!(head.contains("Title: work: failure"), "{head}");
                assert!(head.contains("Authorization: Bearer se\"c\\ret"), "{head}");
            }
            _ => {
                let body: Value = serde_json::from_str(body).expect("JSON");
                let text = body["text"].as_str().expect("a text");
                assert!(text.contains("*work* failure (exit)"), "{text}");
            }
        }
    }
}

#[test]
fn the_mail_hook_in_contrib_writes_a_mail() {
    let contrib = concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/hooks");
    let house = house(&format!(
        "[jobs.work]\ncommand = 'exit 3'\non_failure = ['{contrib}/mail']\n\
         env = {{ PATH = '@T@:/usr/bin:/bin', MAIL_TO = 'ops@example.org' }}\n"
    ));
    install_mailer(&house);
    let supervisor = house.start();
    house.enqueue(&["work"]);
    let mail = mail_of(&house);
    assert!(mail.starts_with("To: ops@example.org\nSubject: ["), "{mail}");
    assert!(
        mail.contains("work: failure (exit)") && mail.contains("\"state\":\"failed\""),
        "{mail}"
    );
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn what_keeps_a_job_from_being_started_keeps_nobody_from_hearing_of_it() {
    let house = house(
        "[jobs.a]\nenv_file = '@T@/gone'\ncommand = 'true'\non_failure = '@T@/tell'\nmailto = 'ops'\n\
         [jobs.b]\nenv.KEY = { file = '@T@/gone' }\ncommand = 'true'\non_failure = '@T@/tell'\n",
    );
    install_mailer(&house);
    let path = format!("{}:/usr/bin:/bin", house.dir().display());
    let mut command = house.jobctl();
    let supervisor = house.start_with(command.env("PATH", path), &[]);
    let id = house.enqueue(&["a"]);
    let ended = house.wait_state(id, "failed");
    assert_eq!(ended["outcome"], "spawn_failed", "{ended:#}");
    assert_eq!(told(&house, 1), [format!("failure 1 failed spawn a {id}.1")]);
    let mail = mail_of(&house);
    assert!(mail.contains("To: ops\n") && mail.contains("env_file"), "{mail}");
    house.enqueue(&["b"]);
    assert!(told(&house, 2)[1].contains(" b "));
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn for_a_user_that_does_not_exist_a_mail_is_sent_and_no_hook_is_started_as_another() {
    if !is_root() {
        return skipped(Need::Root, "only root starts commands as somebody else");
    }
    let house = house(
        "[jobs.a]\nuser = 'no-such-user'\ncommand = 'true'\non_failure = '@T@/tell'\nmailto = 'ops'\n\
         [jobs.b]\nuser = 'no-such-user'\ncommand = 'true'\non_failure = '@T@/tell'\n",
    );
    install_mailer(&house);
    let path = format!("{}:/usr/bin:/bin", house.dir().display());
    let mut command = house.jobctl();
    let supervisor = house.start_with(command.env("PATH", path), &[]);
    let id = house.enqueue(&["a"]);
    house.wait_state(id, "failed");
    assert!(mail_of(&house).contains("no such user"));
    house.wait_text("log", "event=hook_failed");
    let hooks = house.show(id)["hooks"].clone();
    assert!(hooks.to_string().contains("no such user"), "{hooks:#}");
    let b = house.enqueue(&["b"]);
    house.wait_state(b, "failed");
    let nobody = format!("no alert delivered for run {b} (b): on_failure not started (");
    let page = wait_for("status says it", || {
        let page = house.ask(&["status"]).expect(0).out;
        page.contains(&nobody).then_some(page)
    });
    assert!(page.contains("no such user"), "{page}");
    assert!(page.contains(&format!("some alerts failed for run {id} (a)")), "{page}");
    assert_eq!(house.read("told"), "");
    assert_eq!(supervisor.stop(), 0);
}
