//! The classification extension.

use half::f16;
use tintype_api::kserve::classification::classify;
use tintype_core::Tensor;

fn texts(tensor: &Tensor) -> Vec<String> {
    let texts = tensor.values::<Vec<u8>>().expect("classes are BYTES").iter();
    texts.map(|text| String::from_utf8_lossy(text).into_owned()).collect()
}

#[test]
fn the_best_of_each_row_come_with_index_and_label() {
    let scores = Tensor::new([2, 3], vec![0.1f32, 0.826384, -1.0, 5.0, 5.0, 7.25]).unwrap();
    let labels = ["cat", "dog"].map(str::to_owned);
    let classes = classify(&scores, 2, &labels, true).unwrap();
    assert_eq!(classes.shape(), [2, 2]);
    assert_eq!(texts(&classes), ["0.826384:1:dog", "0.100000:0:cat", "7.250000:2", "5.000000:0:cat"]);
}

#[test]
fn without_a_batch_the_whole_is_one_row() {
    let scores = Tensor::new([2, 2], vec![3i64, -4, 9, 0]).unwrap();
    let classes = classify(&scores, 10, &[], false).unwrap();
    assert_eq!(classes.shape(), [4]);
    assert_eq!(texts(&classes), ["9:2", "3:0", "0:3", "-4:1"]);
}

#[test]
fn numbers_that_are_none_come_first_and_break_nothing() {
    let scores = Tensor::new([1, 3], vec![1.0f64, f64::NAN, f64::INFINITY]).unwrap();
    assert_eq!(texts(&classify(&scores, 3, &[], true).unwrap())[1..], ["inf:2", "1.000000:0"]);
}

#[test]
fn what_is_no_score_is_refused() {
    for tensor in [
        Tensor::new([1, 1], vec![f16::ONE]).unwrap(),
        Tensor::new([1, 1], vec![b"x".to_vec()]).unwrap(),
        Tensor::new([1, 1], vec![true]).unwrap(),
    ] {
        let error = classify(&tensor, 1, &[], true).unwrap_err();
        assert!(
            error.message().starts_with("class result not available for output due to unsupported type '"),
            "{error}"
        );
    }
    let many = Tensor::new([1, 1_000_001], vec![0u8; 1_000_001]).unwrap();
    assert!(classify(&many, 1, &[], true).is_err());
    let none = Tensor::new([0, 3], Vec::<f32>::new()).unwrap();
    assert_eq!(classify(&none, 2, &[], true).unwrap().shape(), [0, 0]);
    assert!(classify(&Tensor::new([], vec![1f32]).unwrap(), 1, &[], true).is_err());
}
