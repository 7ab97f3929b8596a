//! An import as a whole: what a jobfile says of a crontab.

use super::*;

fn source(text: &str, kind: Kind) -> Source {
    Source { file: "tab".to_owned(), bytes: text.as_bytes().to_vec(), kind, off: Off::Own }
}

fn tools<'a>(refusals: &'a Refusals<'a>) -> Tools<'a> {
    Tools { refusals, is_zone: &|zone| zone.contains('/'), real_path: &str::to_owned }
}

fn import_all(request: &Request) -> Import {
    import(request, tools(&|_| Vec::new()))
}

fn of_user(text: &str) -> Import {
    import_all(&Request { sources: vec![source(text, Kind::User(None))], ..Request::default() })
}

/// The jobfile behind the keys that stand in all of them.
fn body(import: &Import) -> &str {
    let (_, body) = import.text.split_once("inherit_env = false\n").unwrap();
    body
}

fn notes(import: &Import) -> String {
    let notes: Vec<_> =
        import.notes.iter().map(|note| format!("{:?} {}", note.line, note.text)).collect();
    notes.join("\n")
}

#[test]
fn what_holds_for_all_jobs_is_a_default() {
    let import = of_user(
        "SHELL=/bin/bash\nMAILTO=\"a@b, c\"\nPATH=/x:/y\nRANDOM_DELAY=5\n1 * * * * a\n2 * * * * b\n",
    );
    let wanted = "\
shell = [\"/bin/bash\", \"-c\"]
env.MAILTO = \"a@b, c\"
env.PATH = \"/x:/y\"
env.RANDOM_DELAY = \"5\"
env.SHELL = \"/bin/bash\"
mailto = \"a@b, c\"
mail_on = \"output\"
hook_interval = \"0s\"
jitter = \"5m\"

[jobs.a]
schedule = \"1 * * * *\"
command = \"a\"

[jobs.b]
schedule = \"2 * * * *\"
command = \"b\"
";
    assert_eq!(body(&import), wanted);
}

#[test]
fn a_variable_holds_for_the_lines_after_it() {
    let import = of_user(
        "1 * * * * a\nX=1\nHOME=/srv\nCRON_TZ=Europe/Rome\n2 * * * * b\nX=2\nSHELL=/bin/zsh\nCRON_TZ=\"\"\n3 * * * * c\n",
    );
    let wanted = "\
env.SHELL = \"/bin/sh\"

[jobs.a]
schedule = \"1 * * * *\"
command = \"a\"

[jobs.b]
schedule = \"2 * * * *\"
command = \"b\"
timezone = \"Europe/Rome\"
cwd = \"/srv\"
env.CRON_TZ = \"Europe/Rome\"
env.HOME = \"/srv\"
env.X = \"1\"

[jobs.c]
schedule = \"3 * * * *\"
command = \"c\"
cwd = \"/srv\"
shell = [\"/bin/zsh\", \"-c\"]
env.CRON_TZ = \"\"
env.HOME = \"/srv\"
env.SHELL = \"/bin/zsh\"
env.X = \"2\"
";
    assert_eq!(body(&import), wanted);
    assert_eq!(import.jobs[1].zone.as_deref(), Some("Europe/Rome"));
}

#[test]
fn comments_stay_beside_their_jobs() {
    let import = of_user(
        "# head\n\n# above a\n#second\n1 * * * * a\n# loose\n\nnonsense\n# above b\n2 * * * * b\n#\u{7} end",
    );
    let wanted = "\
env.SHELL = \"/bin/sh\"

# head

# above a
#second
[jobs.a]
schedule = \"1 * * * *\"
command = \"a\"

# loose

# Not imported (tab:8): neither `NAME = value` nor five fields and a command: it ends after 1 field
# nonsense

# above b
[jobs.b]
schedule = \"2 * * * *\"
command = \"b\"

#\\u{7} end
";
    assert_eq!(body(&import), wanted);
    assert_eq!(import.unknown.len(), 1);
}

#[test]
fn a_line_that_was_commented_out_is_a_job_that_is_not_enabled() {
    let import = of_user(
        "# m h dom mon dow command\n# 0 5 * * 1 tar -zcf /var/backups/home.tgz /home/\n# @daily is enough\n\n\
         # ask Bob\n#0 6 * * * /opt/a --old\n0 7 * * * /opt/a\n## @daily /opt/b\n# 1 2 3 4\n",
    );
    let wanted = "\
env.SHELL = \"/bin/sh\"

# m h dom mon dow command
# 0 5 * * 1 tar -zcf /var/backups/home.tgz /home/
# @daily is enough

# ask Bob
[jobs.a-2]
schedule = \"0 6 * * *\"
command = \"/opt/a --old\"
enabled = false

[jobs.a]
schedule = \"0 7 * * *\"
command = \"/opt/a\"

[jobs.b]
schedule = \"@daily\"
command = \"/opt/b\"
enabled = false

# 1 2 3 4
";
    assert_eq!(body(&import), wanted);
    assert_eq!(import.switch_off, ["crontab -l | sed '7s/^/# /' | crontab -"]);
    assert!(notes(&import).contains("the output of 1 job"), "{}", notes(&import));
}

#[test]
fn the_address_of_most_jobs_is_the_default() {
    let import = of_user(
        "1 * * * * a\nMAILTO=ops\nMAILFROM=cron@x\n2 * * * * b\nMAILTO=dev\n3 * * * * c\nMAILTO=ops\n4 * * * * d\n",
    );
    let shared = "\nmailto = \"ops\"\nmail_on = \"output\"\nhook_interval = \"0s\"\nmail_from = \"cron@x\"\n\n";
    assert!(import.text.contains(shared), "{}", import.text);
    let of_job = |name: &str| {
        let (_, job) = import.text.split_once(&format!("[jobs.{name}]\n")).unwrap();
        let job = job.split("\n[jobs.").next().unwrap();
        job.lines().filter(|line| line.starts_with("mail")).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(
        ["a", "b", "c", "d"].map(of_job),
        ["mailto = \"\"; mail_from = \"\"", "", "mailto = \"dev\"", ""]
    );
}

#[test]
fn what_changes_its_meaning_is_said() {
    for (text, word) in [
        ("* * * * * a\n", "without MAILTO, cron mails the output of 1 job"),
        ("MAILTO=x\n* * * * * a\n", "MAILTO of 1 job becomes `mailto`"),
        ("* * * * * a\r\n", "CR LF"),
        ("* * * * * a", "lacks a newline"),
        ("\u{feff}* * * * * a\n", "byte order mark"),
        ("* * * * * a &\n", "background"),
        ("* * * * * a \\\\b\n", "cronie keeps both"),
        ("LOGNAME=x\n* * * * * a\n", "cron sets LOGNAME itself"),
        ("CRON_TZ=Europe/Rome\n* * * * * a\n", "Debian's cron ignores it"),
        ("PATH=$PATH:/x\n* * * * * a\n", "neither cron nor jobctl expands"),
        ("MAILTO=\n* * * * * a\n", "write MAILTO=\"\""),
        ("HOME=x\n* * * * * a\n", "not an absolute path"),
        ("0 0 * * 5#2 a\n", "written as `5`: cron reads `5#2`"),
        ("x\n* * * * * a\n", "rejects the whole file"),
        ("* * * * * a\n", "max_running"),
        ("MAILFROM=x\n* * * * * a\n", "becomes `mail_from`"),
        ("* * * * * echo \"$(date +%F)\"\n", "cron runs `echo \"$(date +`"),
        ("* * * * * root a\n", "begins with `root`"),
    ] {
        let import = of_user(text);
        assert_eq!(import.jobs.len(), 1, "{text}");
        assert!(notes(&import).contains(word), "{text}: {}", notes(&import));
    }
    assert!(!notes(&of_user("* * * * * a &&\n")).contains("background"));
    let cut = of_user("* * * * * echo '%'\n").text;
    assert!(
        cut.contains("which is probably a mistake. A jobfile takes `%` literally.\n[jobs.echo]"),
        "{cut}"
    );
}

#[test]
fn a_line_that_cron_could_not_start_is_listed() {
    for text in ["SHELL=bash\n* * * * * a\n", "SHELL=\"\"\n* * * * * a\n", "0 0 30 2 * a\n"] {
        let import = of_user(text);
        assert_eq!((import.jobs.len(), import.unknown.len()), (0, 1), "{text}");
    }
}

#[test]
fn an_unknown_zone_is_listed_and_its_jobs_stay() {
    let import = of_user("CRON_TZ=nowhere\n* * * * * a\n");
    assert_eq!((import.jobs.len(), import.unknown.len()), (1, 1));
    assert_eq!(import.jobs[0].zone, None);
}

fn system(has_anacron: bool) -> Request {
    let daily = "test -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.daily; }";
    let tab = format!(
        "17 * * * * root cd / && run-parts /etc/cron.hourly\n25 6 * * * root {daily}\n1 1 * * * www x\n"
    );
    let mut sources = vec![source(&tab, Kind::System)];
    if has_anacron {
        let text = "LOGNAME=root\nRANDOM_DELAY=45\nSTART_HOURS_RANGE=3-22\n1 5 cron.daily run-parts --report /etc/cron.daily\n7 70 backup /opt/backup\n";
        sources.push(source(text, Kind::Anacron));
    }
    let directory = |path: &str, script: &str| Directory {
        path: path.to_owned(),
        scripts: vec![script.to_owned()],
    };
    Request {
        sources,
        directories: vec![
            directory("/etc/cron.hourly", "sync"),
            directory("/etc/cron.daily", "logrotate"),
            directory("/etc/cron.weekly", "man-db"),
        ],
        has_anacron,
        is_modern: false,
    }
}

#[test]
fn scripts_of_a_directory_are_jobs_under_one_lock() {
    let import = import_all(&system(false));
    let names: Vec<_> = import.jobs.iter().map(|job| (job.job.as_str(), job.line)).collect();
    assert_eq!(names, [("sync", 1), ("logrotate", 2), ("x", 3)]);
    let job = "\
[jobs.logrotate]
schedule = \"25 6 * * *\"
command = [\"/etc/cron.daily/logrotate\"]
user = \"root\"
cwd = \"/\"
lock = \"cron.daily\"
";
    assert!(import.text.contains(job), "{}", import.text);
    assert!(import.text.contains("user = \"www\""), "{}", import.text);
    assert!(notes(&import).contains("no line runs all scripts"), "{}", notes(&import));
}

#[test]
fn with_anacron_its_table_decides() {
    let import = import_all(&system(true));
    let names: Vec<_> = import.jobs.iter().map(|job| job.job.as_str()).collect();
    assert_eq!(names, ["sync", "x", "logrotate", "backup"]);
    let jobs = "\
[jobs.logrotate]
schedule = \"5 3 * * *\"
command = [\"/etc/cron.daily/logrotate\"]
user = \"root\"
cwd = \"/\"
jitter = \"45m\"
catch_up = \"last\"
lock = \"cron.daily\"
";
    assert!(import.text.contains(jobs), "{}", import.text);
    assert!(import.text.contains("schedule = \"10 4 * * 0\""), "{}", import.text);
    let off = [
        "crontab -l | sed '1s/^/# /;3s/^/# /' | crontab -",
        "crontab -l | sed '4,5s/^/# /' | crontab -",
    ];
    assert_eq!(import.switch_off, off);
}

#[test]
fn a_job_that_does_not_load_is_listed() {
    let request = Request {
        sources: vec![source("* * * * * a\n* * * * * b\n", Kind::User(None))],
        ..Request::default()
    };
    let refusals = |text: &str| {
        let refusal = Refusal { job: Some("a".to_owned()), reason: "no".to_owned() };
        if text.contains("[jobs.a]") { vec![refusal] } else { Vec::new() }
    };
    let import = import(&request, tools(&refusals));
    assert_eq!((import.jobs.len(), import.unknown.len()), (1, 1));
    assert_eq!(import.switch_off, ["crontab -l | sed '2s/^/# /' | crontab -"]);
}

#[test]
fn a_text_that_is_no_toml_costs_only_the_job_it_is_of() {
    let request = Request {
        sources: vec![source("* * * * * a\n* * * * * b\n", Kind::User(None))],
        ..Request::default()
    };
    let refusals = |text: &str| {
        let refusal = Refusal { job: None, reason: "no".to_owned() };
        if text.contains("[jobs.a]") { vec![refusal] } else { Vec::new() }
    };
    let import = import(&request, tools(&refusals));
    assert_eq!((import.jobs.len(), import.unknown.len()), (1, 1));
}
