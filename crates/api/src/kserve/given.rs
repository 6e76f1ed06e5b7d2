//! The parameters of a request, as it gives them.
//!
//! Most requests have one beside themselves and one beside each tensor: that one, whose name is borrowed from the body,
//! takes no memory of its own.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::mem;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use smallvec::SmallVec;

use super::Parameter;

/// Parameters in the order of their names, of which none is there twice.
#[derive(Debug, Default)]
pub(super) struct Given<'a>(List<'a>);

type List<'a> = SmallVec<[(Cow<'a, str>, Parameter); 1]>;

impl Given<'_> {
    pub(super) fn get(&self, name: &str) -> Option<&Parameter> {
        self.iter().find_map(|(key, value)| (key == name).then_some(value))
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Parameter)> {
        self.0.iter().map(|(key, value)| (&**key, value))
    }
}

impl<'a> FromIterator<(Cow<'a, str>, Parameter)> for Given<'a> {
    /// Of one name, the last value counts.
    fn from_iter<I: IntoIterator<Item = (Cow<'a, str>, Parameter)>>(parameters: I) -> Self {
        let mut list: List<'a> = parameters.into_iter().collect();
        list.sort_by(|(a, _), (b, _)| a.cmp(b));
        list.dedup_by(|(later, last), (earlier, value)| {
            let again = later == earlier;
            if again {
                mem::swap(value, last);
            }
            again
        });
        Self(list)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Given<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// A name, borrowed unless it is written with escapes.
        #[derive(serde::Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

        struct Members<'a>(PhantomData<&'a str>);

        impl<'de: 'a, 'a> Visitor<'de> for Members<'a> {
            type Value = Given<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // As serde says of any map.
                f.write_str("a map")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Given<'a>, A::Error> {
                let entries = std::iter::from_fn(|| map.next_entry::<Name<'a>, Parameter>().transpose());
                entries.map(|entry| entry.map(|(Name(name), value)| (name, value))).collect()
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_name_counts_and_names_are_in_order() {
        let json = r#"{"b":1,"a":true,"b":2,"\u0063":"x","b":3}"#;
        let given: Given<'_> = sonic_rs::from_str(json).unwrap();
        let expected =
            [("a", Parameter::Bool(true)), ("b", Parameter::Unsigned(3)), ("c", Parameter::Text("x".into()))];
        assert!(given.iter().eq(expected.iter().map(|(name, value)| (*name, value))), "{given:?}");
        assert_eq!(given.get("b"), Some(&Parameter::Unsigned(3)));
        assert!(given.contains("c") && !given.contains("d"));
    }
}
