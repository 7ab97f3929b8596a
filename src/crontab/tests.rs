//! An import as a whole: what a jobfile says of a crontab.

use super::*;

fn user(text: &str) -> Request {
    bytes(text.as_bytes())
}

fn bytes(bytes: &[u8]) -> Request {
    Request {
        sources: vec![Source {
            file: "crontab of me".to_owned(),
            bytes: bytes.to_vec(),
            kind: Kind::User(None),
            off: Off::Own,
        }],
        ..Request::default()
    }
}

fn import_all(request: &Request) -> Import {
    import(
        request,
        Tools {
            refusals: &|_| Vec::new(),
            is_zone: &|zone| zone.contains('/'),
        },
    )
}

fn body(text: &str) -> String {
    let import = import_all(&user(text));
    let (_, body) = import.text.split_once("inherit_env = false\n").unwrap();
    body.to_owned()
}
