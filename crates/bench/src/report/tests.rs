use std::time::Duration;

use super::*;
use crate::export::History;
use crate::measure::{Metric, Rules, Window};
use crate::profile::Search;
use crate::reading::Between;
use crate::tally::{Keep, Tally};

/// A level of 600 requests in 3 s, of which each took 1, 2, …, 6 ms; the server's part is that of a report by
/// perf_analyzer.
fn measured() -> Measured {
    let mut tally = Tally::default();
    for i in 0..600 {
        tally.latencies.record(Duration::from_millis(1 + i % 6));
    }
    tally.stages.send = Duration::from_micros(100 * 600);
    tally.stages.wait = Duration::from_micros(3300 * 600);
    tally.stages.receive = Duration::from_micros(50 * 600);
    let split = Split {
        inferences: 600,
        executions: 300,
        requests: 600,
        request_ns: 3000 * 600_000,
        queue_ns: 800 * 600_000,
        input_ns: 10 * 600_000,
        infer_ns: 1900 * 600_000,
        output_ns: 20 * 600_000,
        batches: [(1, 100), (2, 100), (3, 100)].into(),
        ..Split::default()
    };
    let server = Between { split: Some(split), usage: None, own_cpu: Duration::from_millis(300), gpus: None };
    let result = Window { time: Duration::from_secs(3), tally, server };
    Measured { result, windows: 3, stable: true, history: History::default() }
}

fn profile() -> Profile {
    Profile {
        loads: Loads::Concurrency("1:4:x2".parse().unwrap()),
        search: Search::Linear,
        rules: Rules {
            window: WindowRule::Time(Duration::from_secs(1)),
            warm_up: 0,
            stability_percent: 10.0,
            metric: Metric::Mean,
            max_trials: 10,
            threshold: None,
        },
        threads: 1,
        batch_size: 1,
        keep: Keep::Figures,
    }
}

fn report(profile: &Profile, levels: Vec<Level>) -> Report {
    Report {
        tool: "tintype 0".to_owned(),
        target: "127.0.0.1:8000".to_owned(),
        model: "mobilenet".to_owned(),
        service: "TRITON".to_owned(),
        protocol: "HTTP".to_owned(),
        shared_memory: false,
        settings: Settings::new(profile),
        start_up_s: None,
        levels,
        interrupted: false,
    }
}

pub(crate) fn plain() -> Report {
    let profile = profile();
    report(&profile, vec![Level::new(2.0, &measured(), Ending::default(), &profile)])
}

/// A level at which things went wrong.
fn troubled() -> Report {
    let mut profile = profile();
    profile.loads = Loads::Rate {
        range: "300".parse().unwrap(),
        distribution: Distribution::Poisson,
        seed: 0,
        most_outstanding: 8,
    };
    profile.rules.metric = Metric::Percentile(98.0);
    profile.rules.threshold = Some(Duration::from_millis(5));
    let mut measured = measured();
    measured.stable = false;
    measured.windows = 10;
    measured.result.tally.errors = [("status 429: too <busy>".to_owned(), 7)].into();
    measured.result.tally.delayed = 40;
    measured.result.server.split = None;
    let peak = 120 << 20;
    measured.result.server.usage =
        Some(Usage { cpu: Duration::from_millis(1500), rss_sum: 200 << 20, samples: 2, rss_peak: peak });
    measured.result.server.own_cpu = Duration::from_millis(2900);
    let ending = Ending { unsent: 11, unanswered: 2, failed: 30 };
    report(&profile, vec![Level::new(300.0, &measured, ending, &profile)])
}

fn text(report: &Report) -> String {
    head(report) + &level(report, &report.levels[0]) + "\n" + &summary(report)
}

#[test]
fn text_has_perf_analyzers_layout() {
    // perf_analyzer 2.51 against a model of its own, its figures exchanged for ours, and the line `Using synchronous
    // calls for inference` for ours about the protocol.
    let expected = "\
*** Measurement Settings ***
  Batch size: 1
  Service Kind: TRITON
  Using \"time_windows\" mode for stabilization
  Stabilizing using average latency and throughput
  Measurement window: 1000 msec
  Latency limit: 0 msec
  Concurrency limit: 4 concurrent requests
  Protocol: HTTP, 1 sending thread

Request concurrency: 2
  Client: 
    Request count: 600
    Throughput: 200 infer/sec
    Avg latency: 3500 usec (standard deviation 1709 usec)
    p50 latency: 3000 usec
    p90 latency: 6001 usec
    p95 latency: 6001 usec
    p99 latency: 6001 usec
    Avg HTTP time: 3450 usec (send/recv 150 usec + response wait 3300 usec)
  Server: 
    Inference count: 600
    Execution count: 300
    Successful request count: 600
    Avg request latency: 3000 usec (overhead 270 usec + queue 800 usec + compute input 10 usec + compute infer 1900 usec + compute output 20 usec)
    Batches: 100 of 1, 100 of 2, 100 of 3

Inferences/Second vs. Client Average Batch Latency
Concurrency: 2, throughput: 200 infer/sec, latency 3500 usec
";
    assert_eq!(text(&plain()), expected);
}

#[test]
fn what_went_wrong_is_said() {
    let expected = "\
*** Measurement Settings ***
  Batch size: 1
  Service Kind: TRITON
  Using \"time_windows\" mode for stabilization
  Stabilizing using p98 latency and throughput
  Measurement window: 1000 msec
  Latency limit: 5 msec
  Request Rate limit: 300 requests per seconds
  Using poisson distribution on request generation
  Protocol: HTTP, 1 sending thread

Request Rate: 300 inference requests per seconds
  Client: 
    Request count: 600
    Delayed Request Count: 40
    Unsent Request Count: 11
    Throughput: 200 infer/sec
    Avg latency: 3500 usec (standard deviation 1709 usec)
    p50 latency: 3000 usec
    p90 latency: 6001 usec
    p95 latency: 6001 usec
    p99 latency: 6001 usec
    p98 latency: 6001 usec
    Avg HTTP time: 3450 usec (send/recv 150 usec + response wait 3300 usec)
    Failed Request Count: 9
      7 × status 429: too <busy>
      2 × no answer within 10 s of the end
  Server processes: 
    CPU: 50.0 % of a core, 2.500 msec per request
    RSS: 100.0 MiB, peak 120.0 MiB
  Not stable: the last 3 of 10 windows do not agree within 10 %
  Beyond the latency limit of 5 msec
  The client used 97 % of its core: it may be what limits the throughput (`--max-threads`)

Inferences/Second vs. Client p98 Batch Latency
Request Rate: 300, throughput: 200 infer/sec, latency 6001 usec
";
    assert_eq!(text(&troubled()), expected);
}

#[test]
fn a_failure_outside_the_last_windows_is_not_forgotten() {
    let profile = profile();
    let level = |ending| Level::new(2.0, &measured(), ending, &profile);
    assert!(level(Ending::default()).all_answered());
    let early = level(Ending { failed: 1, ..Ending::default() });
    assert!(!early.all_answered() && early.failed() == 0, "the figures are of the last windows");
    assert!(!level(Ending { unanswered: 1, ..Ending::default() }).all_answered());
}

#[test]
fn csv_has_perf_analyzers_columns() {
    let expected = "\
Concurrency,Inferences/Second,Client Send,Network+Server Send/Recv,Server Queue,Server Compute Input,Server Compute Infer,Server Compute Output,Client Recv,p50 latency,p90 latency,p95 latency,p99 latency
2,200,100,620,800,10,1900,20,50,3000,6001,6001,6001
";
    assert_eq!(to_csv(&plain(), Columns::Usual), expected);
    let mut two = plain();
    two.levels.insert(0, Level { load: 4.0, throughput: 320.7672, ..two.levels[0].clone() });
    let csv = to_csv(&two, Columns::All);
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{csv}");
    assert_eq!((rows[1][1], rows[2][1]), ("200", "320.767"), "ordered by throughput");
    let troubled = to_csv(&troubled(), Columns::All);
    assert!(troubled.starts_with("Request Rate,Inferences/Second,Client Send,Client Recv,"), "{troubled}");
    let row: Vec<&str> = troubled.lines().nth(1).unwrap().split(',').collect();
    assert_eq!(row[row.len() - 9..], ["600", "9", "40", "11", "false", "50.0", "2.500", "100.0", "120.0"]);
}

/// With metrics of two GPUs, of which one tells only its memory.
fn with_gpus() -> Report {
    let mut report = plain();
    let told = GpuFigures {
        utilization: Some(0.375),
        power_w: Some(35.25),
        memory_used_bytes: Some(1_048_576.0),
        memory_total_bytes: Some(8_589_934_592.0),
    };
    let silent = GpuFigures { utilization: None, power_w: None, memory_used_bytes: None, ..told };
    let gpus = [("GPU-a".to_owned(), told), ("GPU-b".to_owned(), silent)].into();
    report.levels[0].metrics = Some(MetricsFigures { samples: 3, failed: 0, gpus });
    report
}

#[test]
fn gpus_are_told_as_perf_analyzer_tells_them() {
    let mut report = with_gpus();
    let expected = "  Server Prometheus Metrics: \n    Avg GPU Utilization:\n      GPU-a : 37.5%\n      GPU-b : not told\n    \
                    Avg GPU Power Usage:\n      GPU-a : 35.25 watts\n      GPU-b : not told\n    Max GPU Memory Usage:\n      \
                    GPU-a : 1048576 bytes\n      GPU-b : not told\n    Total GPU Memory:\n      GPU-a : 8589934592 bytes\n      \
                    GPU-b : 8589934592 bytes\n";
    assert!(text(&report).contains(expected), "{}", text(&report));
    let csv = to_csv(&report, Columns::All);
    let columns = ",response wait,Avg GPU Utilization,Avg GPU Power Usage,Max GPU Memory Usage,Total GPU Memory,Requests,";
    assert!(csv.contains(columns), "{csv}");
    assert!(
        csv.contains(",GPU-a:0.375;,GPU-a:35.25;,GPU-a:1048576;,GPU-a:8589934592;GPU-b:8589934592;,600,"),
        "{csv}"
    );
    assert!(!to_csv(&report, Columns::Usual).contains("GPU"));

    let none = MetricsFigures { samples: 3, failed: 0, gpus: BTreeMap::new() };
    report.levels[0].metrics = Some(none.clone());
    assert!(text(&report).contains("name no GPU"), "{}", text(&report));
    let rows: Vec<usize> =
        to_csv(&report, Columns::All).lines().map(|line| line.split(',').count()).collect();
    assert_eq!(rows[0], rows[1], "the columns are there, and empty");
    report.levels[0].metrics = Some(MetricsFigures { samples: 0, failed: 3, ..none });
    assert!(text(&report).contains("could not be read"), "{}", text(&report));
}

#[test]
fn json_is_read_as_it_was_written() {
    for report in [plain(), troubled(), with_gpus()] {
        let json = serde_json::to_string(&report).unwrap();
        let read: Report = serde_json::from_str(&json).unwrap();
        // `serde_json` reads the last digit of a fraction as it likes.
        assert_eq!(text(&read), text(&report));
        assert_eq!(to_csv(&read, Columns::All), to_csv(&report, Columns::All));
        assert_eq!(to_html(&read), to_html(&report));
    }
}

#[test]
fn the_page_stands_alone_and_escapes_what_others_say() {
    let page = to_html(&troubled());
    assert!(page.contains("7 × status 429: too &lt;busy&gt;") && !page.contains("too <busy>"));
    assert!(!page.contains("http") && !page.contains("src=") && !page.contains("NaN"), "{page}");
    let page = to_html(&plain());
    for title in ["Throughput against latency", "Latency by percentile", "Time in the server", "Batch sizes"]
    {
        assert!(page.contains(&format!("aria-label='{title}")), "{title}");
    }
    // 100 batches of 1, 2 and 3 rows: a sixth, a third and a half of 600 rows.
    for share in ["2: 1 17", "2: 2 33", "2: 3 50"] {
        assert!(page.contains(share), "{share}\n{page}");
    }
    let empty = Report { levels: Vec::new(), ..plain() };
    assert!(to_html(&empty).contains("</html>"));
}

#[test]
fn two_reports_are_compared_where_they_have_the_same_loads() {
    let (a, mut b) = (plain(), plain());
    b.levels[0].throughput = 250.0;
    b.levels[0].stable = false;
    b.levels.push(Level { load: 4.0, ..b.levels[0].clone() });
    let text = compare(&a, &b);
    let row = text.lines().find(|line| line.contains("infer/sec")).unwrap();
    assert_eq!(
        row.split_whitespace().collect::<Vec<_>>(),
        ["2", "infer/sec", "200.000", "250.000", "+25.0", "%", "not", "stable"]
    );
    assert!(text.contains("4             only in b"), "{text}");
    assert!(compare(&a, &troubled()).contains("a concurrency and b of a poisson request rate: they cannot"));
    let mut constant = troubled();
    constant.settings.load = LoadKind::ConstantRate;
    assert!(compare(&constant, &troubled()).contains("a constant request rate and b of a poisson"));
}

#[test]
fn one_window_is_nowhere_called_unstable() {
    let mut one = plain();
    one.levels[0].stable = false;
    one.settings.one_window = true;
    assert!(!text(&one).contains("Not stable") && !compare(&one, &one).contains("not stable"));
    assert!(!to_html(&one).contains("not stable") && to_csv(&one, Columns::All).contains(",true,"));
}

#[test]
fn a_client_is_busy_by_the_threads_that_run() {
    let mut busy = plain();
    busy.settings.threads = 8;
    busy.levels[0].client_cpu_percent = 190.0;
    assert!(text(&busy).contains("used 95 % of its cores"), "two requests under way keep two threads");
}

#[test]
fn six_digits_are_printed_as_cpp_prints_them() {
    for (value, text) in
        [(320.7668, "320.767"), (99.49624, "99.4962"), (49.721, "49.721"), (200.0, "200"), (0.0, "0")]
    {
        assert_eq!(text::significant(value), text);
    }
    assert_eq!(text::significant(81278.3), "81278.3");
    assert_eq!(text::significant(0.123_456_7), "0.123457");
}
