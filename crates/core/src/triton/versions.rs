//! Which of a model's versions are served.

use super::proto::model_version_policy::{Latest, PolicyChoice};
use super::proto::{ModelConfig, ModelVersionPolicy};
use crate::{Error, ErrorKind, Result};

/// The versions that `config`'s policy picks from those that are there, ascending. Without a policy, and with `latest`
/// without a number, the highest one.
///
/// # Errors
/// `NotFound` when a version that the policy names is not there, or none is.
pub fn choose_versions(config: &ModelConfig, available: &[u64]) -> Result<Vec<u64>> {
    let mut versions = available.to_vec();
    versions.sort_unstable();
    versions.dedup();
    let latest = PolicyChoice::Latest(Latest::default());
    let choice = match &config.version_policy {
        Some(ModelVersionPolicy { policy_choice: Some(choice) }) => choice,
        _ => &latest,
    };
    match choice {
        PolicyChoice::All(_) => {}
        PolicyChoice::Latest(latest) => {
            let kept = (latest.num_versions as usize).max(1).min(versions.len());
            versions.drain(..versions.len() - kept);
        }
        PolicyChoice::Specific(specific) => {
            let known = |version: &i64| u64::try_from(*version).is_ok_and(|v| versions.contains(&v));
            if let Some(missing) = specific.versions.iter().find(|version| !known(version)) {
                return Err(not_found(format!(
                    "version {missing} of `version_policy` is not there: found {versions:?}"
                )));
            }
            versions.retain(|&v| specific.versions.iter().any(|&s| u64::try_from(s) == Ok(v)));
        }
    }
    if versions.is_empty() {
        return Err(not_found("at least one version must be available under the version policy"));
    }
    Ok(versions)
}

fn not_found(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::NotFound, message)
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn policies() {
        for (policy, available, expected) in [
            ("", [3, 1, 20].as_slice(), Some([20].as_slice())),
            ("version_policy {}", &[3, 1], Some(&[3])),
            ("version_policy { latest {} }", &[3, 1], Some(&[3])),
            ("version_policy { latest { num_versions: 2 } }", &[20, 3, 1], Some(&[3, 20])),
            ("version_policy { latest { num_versions: 9 } }", &[3, 1], Some(&[1, 3])),
            ("version_policy { all {} }", &[20, 1, 3], Some(&[1, 3, 20])),
            ("version_policy { specific { versions: [3, 1, 3] } }", &[1, 2, 3], Some(&[1, 3])),
            ("version_policy { specific { versions: [4] } }", &[1, 2, 3], None),
            ("version_policy { specific { versions: [-1] } }", &[1], None),
            ("version_policy { specific {} }", &[1], None),
            ("version_policy { all {} }", &[], None),
            ("", &[], None),
        ] {
            let found = choose_versions(&parse(policy).unwrap(), available);
            match expected {
                Some(expected) => assert_eq!(found.unwrap(), expected, "{policy}"),
                None => assert_eq!(found.unwrap_err().kind(), ErrorKind::NotFound, "{policy}"),
            }
        }
    }
}
