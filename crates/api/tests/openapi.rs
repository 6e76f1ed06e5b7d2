//! The checked-in document is the one that the types say.

use tintype_api::openapi;

#[test]
fn the_checked_in_document_is_fresh() {
    let fresh = openapi::generate().unwrap();
    if std::env::var_os("TINTYPE_BLESS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json"), &fresh).unwrap();
        return;
    }
    let stale = openapi::JSON != fresh;
    assert!(
        !stale,
        "`openapi.json` is stale: run `TINTYPE_BLESS=1 cargo test -p tintype-api` and look at the diff"
    );
}
