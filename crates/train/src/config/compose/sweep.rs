//! Multirun: several values of a key, and what to make of them: every combination, or random ones.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tintype_core::{Error, Result};

use super::grammar::{Given, Word, arguments};
use super::{invalid, tree::shown};

/// Values of which each run has one.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Sweep {
    /// `a,b,c`, `choice(a,b,c)` and `range(start,stop,step)`.
    Choice(Vec<Value>),
    /// `interval(low,high)`: any number between, for random search alone.
    Interval {
        low: f64,
        high: f64,
        /// `tag(log, interval(…))`: the logarithm is uniform.
        log: bool,
        /// `int(interval(…))`: rounded.
        int: bool,
    },
}

/// How a multirun chooses its runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Search {
    /// Every combination, the last word's values changing fastest.
    Grid,
    /// As many runs as said, each with values drawn independently.
    Random {
        /// How many.
        trials: usize,
        /// Equal seeds draw equal values.
        seed: u64,
    },
}

/// More runs than this are a slip of the keyboard.
const MOST_RUNS: usize = 10_000;

impl Sweep {
    /// Reads a function that stands for several values; none where the text is no such function.
    ///
    /// # Errors
    /// `InvalidConfig` when its arguments do not fit.
    pub fn parse(text: &str) -> Result<Option<Self>> {
        let Some((name, inner)) = text.trim().strip_suffix(')').and_then(|t| t.split_once('(')) else {
            return Ok(None);
        };
        match name.trim() {
            "choice" => Ok(Some(Self::Choice(arguments(inner)?))),
            "range" => range(&numbers(inner)?).map(Some),
            "interval" => match numbers(inner)?[..] {
                [low, high] if low < high => Ok(Some(Self::Interval { low, high, log: false, int: false })),
                _ => Err(invalid(format!("expected two rising numbers in `{text}`"))),
            },
            "tag" => match inner.split_once(',').map(|(tag, rest)| (tag.trim(), Self::parse(rest))) {
                Some(("log", Ok(Some(Self::Interval { low, high, int, .. })))) if low > 0.0 => {
                    Ok(Some(Self::Interval { low, high, log: true, int }))
                }
                Some(("log", Err(error))) => Err(error),
                _ => Err(invalid(format!("expected `tag(log, interval(low,high))` above 0, found `{text}`"))),
            },
            "int" => match Self::parse(inner)? {
                Some(Self::Interval { low, high, log, .. }) => {
                    Ok(Some(Self::Interval { low, high, log, int: true }))
                }
                _ => Err(invalid(format!("expected `int(interval(low,high))`, found `{text}`"))),
            },
            _ => Ok(None),
        }
    }

    fn draw(&self, random: &mut StdRng) -> Value {
        match self {
            Self::Choice(values) => values[random.random_range(0..values.len())].clone(),
            Self::Interval { low, high, log, int } => {
                let at: f64 = random.random();
                let drawn = match log {
                    true => (low.ln() + at * (high.ln() - low.ln())).exp(),
                    false => low + at * (high - low),
                };
                if *int { Value::from(drawn.round() as i64) } else { Value::from(drawn) }
            }
        }
    }
}

fn numbers(text: &str) -> Result<Vec<f64>> {
    arguments(text)?
        .iter()
        .map(|v| v.as_f64().ok_or_else(|| invalid(format!("expected a number, found `{}`", shown(v)))))
        .collect()
}

/// `range(stop)`, `range(start,stop)` or `range(start,stop,step)`; the stop is not of it.
fn range(bounds: &[f64]) -> Result<Sweep> {
    let (start, stop, step) = match *bounds {
        [stop] => (0.0, stop, 1.0),
        [start, stop] => (start, stop, 1.0),
        [start, stop, step] => (start, stop, step),
        _ => return Err(invalid("expected `range(start,stop,step)`")),
    };
    let count = ((stop - start) / step).ceil();
    if !(1.0..=MOST_RUNS as f64).contains(&count) {
        return Err(invalid(format!("`range` from {start} to {stop} by {step} has no value, or too many")));
    }
    let whole = bounds.iter().all(|x| x.fract() == 0.0);
    let value = |i: usize| {
        let x = start + i as f64 * step;
        if whole { Value::from(x as i64) } else { Value::from(x) }
    };
    Ok(Sweep::Choice((0..count as usize).map(value).collect()))
}

/// The words of each run.
///
/// # Errors
/// `InvalidConfig` for a word that is none, an interval outside a random search, no run or too many.
pub(super) fn jobs(words: &[String], search: Search) -> Result<Vec<Vec<String>>> {
    let parsed = words.iter().map(|w| Word::parse(w)).collect::<Result<Vec<_>>>()?;
    let assigned = |word: &str, value: &Value| {
        let key = word.split_once('=').map_or(word, |(key, _)| key);
        format!("{key}={}", written(value))
    };
    match search {
        Search::Grid => {
            let mut jobs: Vec<Vec<String>> = vec![Vec::new()];
            for (text, word) in words.iter().zip(&parsed) {
                let forms = match &word.given {
                    Some(Given::Many(Sweep::Choice(values))) => {
                        values.iter().map(|v| assigned(text, v)).collect()
                    }
                    Some(Given::Many(Sweep::Interval { .. })) => {
                        return Err(invalid(format!(
                            "`{text}`: an interval needs `--search random --trials N`"
                        )));
                    }
                    _ => vec![text.clone()],
                };
                jobs = jobs
                    .into_iter()
                    .flat_map(|job| forms.iter().map(move |f| [&job[..], std::slice::from_ref(f)].concat()))
                    .collect();
                at_most(jobs.len())?;
            }
            Ok(jobs)
        }
        Search::Random { trials, seed } => {
            at_most(trials)?;
            let mut random = StdRng::seed_from_u64(seed);
            let mut job = || {
                let forms = words.iter().zip(&parsed).map(|(text, word)| match &word.given {
                    Some(Given::Many(sweep)) => assigned(text, &sweep.draw(&mut random)),
                    _ => text.clone(),
                });
                forms.collect()
            };
            Ok((0..trials).map(|_| job()).collect())
        }
    }
}

fn at_most(runs: usize) -> Result<()> {
    if (1..=MOST_RUNS).contains(&runs) {
        return Ok(());
    }
    Err(invalid(format!("expected 1 to {MOST_RUNS} runs, found {runs}")))
}

/// What is swept: the keys of the words that have several values.
///
/// # Errors
/// `InvalidConfig` for a word that is none.
pub(super) fn swept(words: &[String]) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    for text in words {
        let word = Word::parse(text)?;
        if matches!(word.given, Some(Given::Many(_))) {
            keys.push(word.key);
        }
    }
    Ok(keys)
}

/// A value as a word has it.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let bare = !text.is_empty()
                && super::grammar::plain(text) == *value
                && !text.contains(|c: char| "\\,:=()[]{}'\"".contains(c));
            if bare { text.clone() } else { format!("\"{}\"", text.replace('"', "\\\"")) }
        }
        Value::Array(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(",")),
        Value::Object(map) => {
            let pairs: Vec<String> = map.iter().map(|(k, v)| format!("{k}:{}", written(v))).collect();
            format!("{{{}}}", pairs.join(","))
        }
        other => other.to_string(),
    }
}

/// The error for several values where one run was asked for.
pub(super) fn needs_multirun(word: &str) -> Error {
    invalid(format!("`{word}` has several values: `-m` runs each"))
        .with_hint("text with commas in it is written in quotes: `'key=\"a, b\"'`")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_grid_has_every_combination() {
        let found = jobs(&words("a=1,2 b=x c=range(0,1,0.5)"), Search::Grid).unwrap();
        let lines: Vec<String> = found.iter().map(|job| job.join(" ")).collect();
        assert_eq!(lines, ["a=1 b=x c=0.0", "a=1 b=x c=0.5", "a=2 b=x c=0.0", "a=2 b=x c=0.5"]);
        assert_eq!(
            jobs(&words("a=choice([1,2],'x,y')"), Search::Grid).unwrap(),
            [["a=[1,2]"], ["a=\"x,y\""]]
        );
        assert_eq!(jobs(&words("a=range(3)"), Search::Grid).unwrap().len(), 3);
        assert_eq!(swept(&words("a=1 b=1,2 c=interval(0,1)")).unwrap(), ["b", "c"]);
    }

    #[test]
    fn a_written_value_reads_back() {
        for value in [
            json!("x"),
            json!("1"),
            json!("a, b"),
            json!("it's \"q\""),
            json!([1, "a:b"]),
            json!({"a": [null]}),
        ] {
            let word = Word::parse(&format!("k={}", written(&value))).unwrap();
            assert_eq!(word.given, Some(Given::One(value)));
        }
    }

    #[test]
    fn random_draws_follow_their_distributions() {
        let search = Search::Random { trials: 4000, seed: 7 };
        let text = "lr=tag(log,interval(1e-4,1e-2)) d=interval(0,1) n=int(interval(1,4)) o=adam,sgd";
        let found = jobs(&words(text), search).unwrap();
        assert_eq!(found, jobs(&words(text), search).unwrap());
        let column = |i: usize| found.iter().map(move |job| job[i].split_once('=').unwrap().1);
        let share = |i: usize, below: f64| {
            column(i).filter(|v| v.parse::<f64>().unwrap() < below).count() as f64 / found.len() as f64
        };
        // Four deviations of a share of one half over 4000 draws are 0.032.
        assert!((share(0, 1e-3) - 0.5).abs() < 0.032, "{}", share(0, 1e-3));
        assert!((share(1, 0.5) - 0.5).abs() < 0.032, "{}", share(1, 0.5));
        assert!(column(2).all(|v| ["1", "2", "3", "4"].contains(&v)));
        assert!((column(3).filter(|v| *v == "sgd").count() as f64 / 4000.0 - 0.5).abs() < 0.032);
        assert!(
            jobs(&words("a=interval(0,1)"), Search::Grid).unwrap_err().message().contains("--search random")
        );
        assert!(jobs(&words("a=tag(log,interval(0,1))"), search).unwrap_err().message().contains("above 0"));
    }
}
