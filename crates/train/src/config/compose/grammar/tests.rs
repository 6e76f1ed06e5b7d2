use serde_json::json;

use super::*;

fn one(text: &str) -> Value {
    match Word::parse(&format!("k={text}")).unwrap_or_else(|e| panic!("{text}: {e}")).given {
        Some(Given::One(value)) => value,
        other => panic!("{text}: {other:?}"),
    }
}

/// Written by `tests/data/overrides.py` with Hydra's own parser.
#[test]
fn values_are_read_as_hydra_reads_them() {
    let cases: Vec<(String, Value)> =
        serde_json::from_str(include_str!("../../../../tests/data/overrides.json")).unwrap();
    assert!(cases.len() > 30);
    for (text, expected) in cases {
        assert_eq!(one(&text), expected, "{text}");
    }
}

#[test]
fn words_say_what_they_do() {
    let table = [
        ("a.b=1", Change::Set, "a.b"),
        ("+a=1", Change::Add, "a"),
        ("++a=1", Change::Force, "a"),
        ("~a.b", Change::Delete, "a.b"),
        ("~a=1", Change::Delete, "a"),
        ("db/mysql=x", Change::Set, "db/mysql"),
    ];
    for (text, change, key) in table {
        let word = Word::parse(text).unwrap();
        assert_eq!((word.change, word.key.as_str()), (change, key), "{text}");
    }
    assert_eq!(Word::parse("~a").unwrap().given, None);
    assert_eq!(
        Word::parse("a=1,b,[2,3]").unwrap().given,
        Some(Given::Many(Sweep::Choice(vec![json!(1), json!("b"), json!([2, 3])])))
    );
}

#[test]
fn what_is_no_word_is_refused() {
    let table = [
        ("a", "expected `key=value`"),
        ("=1", "expected a key"),
        ("a..b=1", "expected a key"),
        ("a@b=1", "a package after `@`"),
        ("a=[1,2", "has no `]`"),
        ("a=[1 2]x", "expected the end"),
        ("a={x:1", "has no `}`"),
        ("a={x}", "expected `:` after `x`"),
        ("a='x", "does not end"),
        ("a=${x", "has no `}`"),
        ("a=shuffle(1,2)", "the function `shuffle` is not supported"),
    ];
    for (text, message) in table {
        let error = Word::parse(text).expect_err(text);
        assert!(error.message().contains(message), "{text}: {error}");
    }
}
