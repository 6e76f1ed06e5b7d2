//! `augment`: random changes to training images.

use serde::{Deserialize, Serialize};

/// Random changes to training images; the default changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugmentConfig {
    /// Mirror half of the images left to right.
    pub flip: bool,
}

impl AugmentConfig {
    /// Whether images stay as they are.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}
