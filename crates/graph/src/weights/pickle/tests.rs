use super::*;

fn value(bytes: &[u8]) -> Result<Node> {
    let mut heap = Heap::default();
    run(bytes, &mut heap).map(|(id, _)| heap.node(id).clone())
}

#[test]
fn numbers_of_every_form_are_read() {
    for (bytes, expected) in [
        (&b"K\x05."[..], 5),
        (b"M\x01\x02.", 513),
        (b"J\xff\xff\xff\xff.", -1),
        (b"I-7\n.", -7),
        (b"L12L\n.", 12),
        (b"\x8a\x02\x00\x80.", -32768),
        (b"\x8a\x00.", 0),
    ] {
        assert!(matches!(value(bytes).unwrap(), Node::Int(n) if n == expected), "{expected}");
    }
    assert!(matches!(value(b"I01\n.").unwrap(), Node::Bool(true)));
}

#[test]
fn a_call_is_remembered_and_not_made() {
    // os.system("true")
    let mut heap = Heap::default();
    let (id, length) = run(b"cos\nsystem\n(X\x04\x00\x00\x00truetR.rest", &mut heap).unwrap();
    let Node::Object { class, .. } = heap.node(id).clone() else { unreachable!("a call is an object") };
    assert!(matches!(heap.node(class), Node::Global { module, name } if module == "os" && name == "system"));
    assert_eq!(length, 24);
}

#[test]
fn a_cycle_and_a_shared_value_cost_nothing() {
    // A list in itself, and a tuple of one list twice.
    let mut heap = Heap::default();
    let (id, _) = run(b"]q\x00h\x00a.", &mut heap).unwrap();
    assert_eq!(heap.members(id), [id]);
    let (id, _) = run(b"]2\x86.", &mut heap).unwrap();
    assert_eq!(heap.members(id)[0], heap.members(id)[1]);
}

#[test]
fn what_is_nested_deeply_is_no_danger() {
    let mut bytes = vec![b'N'];
    bytes.extend(vec![0x85; 1_000_000]);
    bytes.push(b'.');
    assert!(matches!(value(&bytes).unwrap(), Node::Tuple(_)));
    let error = value(&[&vec![b']'; MAX_VALUES + 1][..], b"."].concat()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PayloadTooLarge);
}

#[test]
fn damage_is_an_error() {
    for (bytes, message) in [
        (&b""[..], "the pickle ends in the middle"),
        (b".", "the pickle takes a value from an empty stack"),
        (b"(.", "the pickle takes a value from an empty stack"),
        (b"h\x03.", "the pickle recalls `3`, which it never kept"),
        (b"t.", "the pickle ends a list that never began"),
        (b"}(K\x01u.", "the pickle has a key without a value"),
        (b"X\xff\xff\xff\xffab.", "the pickle ends in the middle"),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff.", "the pickle ends in the middle"),
        (b"\x01.", "the pickle has the unknown opcode 0x01"),
    ] {
        assert_eq!(value(bytes).unwrap_err().message(), message);
    }
}
