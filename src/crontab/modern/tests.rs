//! What is shortened to which keys, and what stays.

use crate::crontab::{Import, Kind, Off, Request, Source, Tools, import};

fn modern(text: &str) -> Import {
    let source = Source {
        file: "tab".to_owned(),
        bytes: text.as_bytes().to_vec(),
        kind: Kind::User(None),
        off: Off::Own,
    };
    let request = Request { sources: vec![source], is_modern: true, ..Request::default() };
    import(&request, Tools { refusals: &|_| Vec::new(), is_zone: &|_| true, real_path: &real_path })
}

fn real_path(path: &str) -> String {
    path.replacen("/link/", "/l/", 1)
}

/// The keys of the first job but its schedule, without remarks.
fn keys(command: &str) -> String {
    let command = command.replace('%', "\\%");
    let text = modern(&format!("SHELL=/bin/bash\n1 2 * * * {command}\n3 4 * * * z\n")).text;
    let (_, job) = text.split_once("schedule = \"1 2 * * *\"\n").expect("a job");
    let (job, _) = job.split_once("\n\n").expect("another job");
    job.replace('\n', "; ")
}

#[test]
fn keys_replace_the_programs_that_a_command_begins_with() {
    for (command, wanted) in [
        ("cd /srv/app && ./run a | tee b", r#"command = "./run a | tee b"; cwd = "/srv/app""#),
        ("flock -n /l/a.lock /opt/a -v", r#"command = "/opt/a -v"; overlap = "skip""#),
        ("/usr/bin/flock /l/a.lock /opt/a", r#"command = "/opt/a"; lock = "a""#),
        ("flock -xn /l/a -c 'a | b; c'", r#"command = "a | b; c"; overlap = "skip""#),
        ("timeout 90 /opt/a", r#"command = "/opt/a"; timeout = "90s""#),
        (
            "timeout -k 10s -s INT 1h a 'x y'",
            r#"command = "a 'x y'"; timeout = "1h"; stop_grace = "10s"; stop_signal = "INT""#,
        ),
        ("timeout --signal=HUP 2d a", r#"command = "a"; timeout = "48h"; stop_signal = "HUP""#),
        ("timeout 5m flock /l/a a", r#"command = "flock /l/a a"; timeout = "5m""#),
        ("nice /opt/a", r#"command = "/opt/a"; nice = 10"#),
        ("nice -n 5 a", r#"command = "a"; nice = 5"#),
        ("nice -n19 a", r#"command = "a"; nice = 19"#),
        ("nice -7 a", r#"command = "a"; nice = 7"#),
        ("umask 027; a; b", r#"command = "a; b"; umask = "027""#),
        ("sleep $((RANDOM % 600)); a; b", r#"command = "a; b"; jitter = "10m""#),
        ("sleep $(( $RANDOM % 90 )) && a", r#"command = "a"; jitter = "90s""#),
        (
            "perl -e 'sleep int(rand(43200))' && certbot -q renew",
            r#"command = "certbot -q renew"; jitter = "12h""#,
        ),
        ("a -q >/dev/null 2>&1", r#"command = "a -q""#),
        ("a 'x y' >>/l/a.log 2>&1", r#"command = "a 'x y'"; output_file = "/l/a.log""#),
        ("nice a <i 1>> /l/a 2>&1", r#"command = "a <i"; nice = 10; output_file = "/l/a""#),
        ("a >>/dev/null 2>&1", r#"command = "a""#),
        (
            "cd /srv && sleep $((RANDOM % 60)) && nice -n 3 flock -n /l/a timeout 5m ./a >/dev/null 2>&1",
            r#"command = "./a"; cwd = "/srv"; jitter = "1m"; overlap = "skip"; nice = 3; timeout = "5m""#,
        ),
    ] {
        assert_eq!(keys(command), wanted, "{command}");
    }
}

#[test]
fn what_a_key_would_not_mean_stays() {
    for command in [
        "cd /srv; a",
        "umask 0777; \u{b} ",
        "nice \u{3000}",
        "cd /srv && a || b",
        "cd /srv && a; b",
        "cd /srv && a &",
        "cd srv && a",
        "cd /link/srv && a",
        "cd /srv && ../a",
        "cd /srv && a $PWD",
        "cd /srv && a `pwd`",
        "cd /srv && cd b && cd - && a",
        "cd \"$HOME\" && a",
        "(cd /srv && a)",
        "[ -d /srv ] && cd /srv && a",
        "flock -n /l/a a && b",
        "flock -n /l/a a | b",
        "flock -w 5 /l/a a",
        "flock -s /l/a a",
        "flock -n $L a",
        "flock -n /l/a A=1 a",
        "flock -n /l/a . a",
        "flock -n /l/a -c \"a $b\"",
        "flock -n /l/a -c 'a' > /o",
        "timeout --foreground 5m a",
        "timeout 0 a",
        "timeout 1.5h a",
        "timeout $T a",
        "timeout 5m a; b",
        "timeout 99999d a",
        "nice --10 a",
        "nice -n -5 a",
        "nice -n 5 a && b",
        "nice -n 5 echo -e a",
        "timeout 2 printf a",
        "flock -n /l/a kill 1",
        "timeout 3 a $(sleep 5)",
        "nice a \"`b`\"",
        "ionice -c 3 a",
        "sleep 30; a",
        "umask 7777; a",
        "umask u=rw; a",
        "sleep $((RANDOM % 600)) && a &",
        "sleep $((RANDOM % 999999)); a",
        "sleep ${RANDOM:0:2}; a",
        "a > /var/log/a.log 2>&1",
        "a >> /var/log/a.log",
        "a >> /var/log/a.log 2>/dev/null",
        "a >> a.log 2>&1",
        "a >> ~/a.log 2>&1",
        "a >> \"/l/a.log\" 2>&1",
        "a >> /l/$(date +%F) 2>&1",
        "a > /b >> /l/a 2>&1",
        "a 2>/b >> /l/a 2>&1",
        "a | b >> /l/a 2>&1",
        "a && b >> /l/a 2>&1",
        "(a; b) >> /l/a 2>&1",
        "2>&1 a >> /l/a",
        "a > /dev/null",
        ">/dev/null 2>&1",
        "a && b >/dev/null 2>&1",
        "nice a 'b",
        "A=1 nice a",
    ] {
        let written = super::string(command);
        assert_eq!(keys(command), format!("command = {written}"), "{command}");
    }
}

#[test]
fn what_stays_is_told_above_the_job_and_what_went_is_shown() {
    for (command, remark) in [
        ("nice a", "# In cron: 1 2 * * * nice a\n[jobs."),
        (
            "cd /srv; a",
            "# `cd` stays in the command: with `cwd`, the command would not run if the directory is missing.",
        ),
        ("ionice -c3 a", "# `ionice` stays in the command: no key does the same."),
        (
            "a && b >>/l/a.log 2>&1",
            "# Its output goes to /l/a.log; without `>>/l/a.log 2>&1`, jobctl keeps it",
        ),
        (
            "a >>/l/a.log",
            "# `>>/l/a.log` stays in the command: `output_file` would get standard error, too.",
        ),
        ("sleep $((RANDOM \\% 5)); a", "# RANDOM is empty in dash"),
    ] {
        let text = modern(&format!("# about it\n1 2 * * * {command}\n")).text;
        assert!(text.contains(remark) && text.contains("\n# about it\n# "), "{command}: {text}");
    }
}

#[test]
fn a_lock_file_of_several_lines_is_a_lock_only_if_all_wait_for_it() {
    let lines = |a: &str, b: &str| modern(&format!("1 * * * * {a}\n2 * * * * {b}\n")).text;
    let both = lines("flock /l/x.lock a", "flock /l/x.lock b");
    assert_eq!(both.matches("lock = \"x\"").count(), 2, "{both}");
    for (a, b) in [
        ("flock -n /l/x a", "flock -n /l/x b"),
        ("flock -n /l/x a", "flock /l/x b"),
        ("flock /l/x a", "rm -f /l/x"),
        ("flock -n /l/x a", "(flock 9; b) 9>/l/x"),
        ("flock -n /l/x a", "timeout 9 flock /l/x b"),
        ("flock -n /l/x a", "rm /link/x"),
        ("flock /l/x a", "flock /m/x b"),
    ] {
        let text = lines(a, b);
        assert!(text.contains(&format!("command = \"{a}\"")), "{text}");
        assert!(text.contains("other lines use its file"), "{text}");
    }
}

#[test]
fn a_job_whose_output_went_nowhere_still_mails_no_output() {
    let text = modern("MAILTO=ops\n1 * * * * a >/dev/null 2>&1\n2 * * * * b\n").text;
    assert!(text.contains("command = \"a\"\nmail_on = \"failure\"\n"), "{text}");
    assert!(
        text.contains("mailto = \"ops\"\nmail_on = \"output\"\nhook_interval = \"0s\"\n\n"),
        "{text}"
    );
    for first in ["1 * * * * b\n", "MAILTO=x\n1 * * * * b\n3 * * * * c\n"] {
        let text = modern(&format!("{first}MAILTO=ops\n1 * * * * a >/dev/null 2>&1\n")).text;
        assert!(text.ends_with("\nmailto = \"ops\"\nmail_on = \"failure\"\n"), "{text}");
    }
}

#[test]
fn texts_of_other_languages_stay() {
    let text = modern("SHELL=/usr/bin/fish\n1 * * * * nice a\n").text;
    assert!(text.contains("command = \"nice a\""), "{text}");
}
