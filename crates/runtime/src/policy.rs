//! What a model's configuration says of its queue and its instances, in the scheduler's terms.

use std::time::{Duration, Instant};

use tintype_core::triton::ModelConfig;
use tintype_core::triton::proto::model_config::SchedulingChoice;
use tintype_core::triton::proto::model_instance_group::Kind;
use tintype_core::triton::proto::model_queue_policy::TimeoutAction;
use tintype_core::triton::proto::{ModelInstanceGroup, ModelQueuePolicy};
use tintype_core::{Error, ErrorKind, Result};
use tintype_engine::{Accelerator, Device, Optimization, SessionOptions};

use crate::LoadOptions;
use crate::batcher::BatchPolicy;

/// How a model's requests are scheduled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scheduling {
    pub(crate) batch: BatchPolicy,
    pub(crate) levels: Levels,
    pub(crate) preserve_ordering: bool,
    /// Where each instance runs.
    pub(crate) devices: Vec<Device>,
}

impl Scheduling {
    /// Reads `config`, which is complete and valid; where it says nothing, `options` decide.
    ///
    /// # Errors
    /// `Unsupported` for instances that this build cannot make.
    pub(crate) fn new(config: &ModelConfig, options: &LoadOptions) -> Result<Self> {
        let devices = devices(&config.instance_group, options)?;
        let mut batch = BatchPolicy::new(1, Duration::ZERO);
        batch.instances = devices.len();
        let Some(SchedulingChoice::DynamicBatching(batching)) = &config.scheduling_choice else {
            // Each request runs as it came, whatever its rows.
            return Ok(Self { batch, levels: Levels::default(), preserve_ordering: false, devices });
        };
        batch.max_batch_size = size(config.max_batch_size).max(1);
        let preferred = batching.preferred_batch_size.iter().map(|&s| size(s));
        batch.preferred_batch_sizes = preferred.collect();
        // What Triton writes where nothing is preferred.
        if batch.preferred_batch_sizes == [batch.max_batch_size] {
            batch.preferred_batch_sizes.clear();
        }
        batch.max_queue_delay = match batching.max_queue_delay_microseconds {
            0 => options.max_queue_delay,
            micros => Duration::from_micros(micros),
        };
        let count = size(batching.priority_levels).max(1);
        batch.priority_levels = count;
        let default = batching.default_queue_policy.as_ref();
        let policy = |level: usize| batching.priority_queue_policy.get(&(level as u64 + 1)).or(default);
        let policies =
            (0..count).map(|level| policy(level).map(QueuePolicy::new).unwrap_or_default()).collect();
        let default = size(batching.default_priority_level).clamp(1, count) - 1;
        let levels = Levels { policies, default };
        Ok(Self { batch, levels, preserve_ordering: batching.preserve_ordering, devices })
    }
}

/// The priority levels of a queue, the most urgent first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Levels {
    /// At least one.
    pub(crate) policies: Vec<QueuePolicy>,
    /// The level of a request that names none, or one that does not exist.
    pub(crate) default: usize,
}

impl Default for Levels {
    fn default() -> Self {
        Self { policies: vec![QueuePolicy::default()], default: 0 }
    }
}

impl Levels {
    /// The level, counted from 0, of a request of `priority`: 1 is the most urgent, 0 asks for the default.
    pub(crate) fn level(&self, priority: u64) -> usize {
        match size(priority) {
            level if (1..=self.policies.len()).contains(&level) => level - 1,
            _ => self.default,
        }
    }
}

/// How one level treats those who wait in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct QueuePolicy {
    /// How many may wait; `None` for any number.
    pub(crate) max_queue_size: Option<usize>,
    /// How long one may wait; `None` for ever.
    timeout: Option<Duration>,
    allow_override: bool,
    on_timeout: OnTimeout,
}

/// What becomes of a request that waited too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum OnTimeout {
    #[default]
    Reject,
    Delay,
}

/// When a request has waited too long, by the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Patience {
    /// From then on it is refused.
    pub(crate) reject: Option<Instant>,
    /// From then on others go first.
    pub(crate) postpone: Option<Instant>,
    /// By then its answer is of no use: what the request asked, where the queue's policy has no say.
    pub(crate) deadline: Option<Instant>,
}

impl QueuePolicy {
    fn new(policy: &ModelQueuePolicy) -> Self {
        let positive = |n: u64| (n > 0).then_some(n);
        Self {
            max_queue_size: positive(policy.max_queue_size.into()).map(size),
            timeout: positive(policy.default_timeout_microseconds).map(Duration::from_micros),
            allow_override: policy.allow_timeout_override,
            on_timeout: match policy.timeout_action() {
                TimeoutAction::Reject => OnTimeout::Reject,
                TimeoutAction::Delay => OnTimeout::Delay,
            },
        }
    }

    /// For a request that came at `now` and asks for a timeout.
    ///
    /// Where the policy allows it, that may shorten the policy's own. Where it does not, Triton would ignore it; here it
    /// bounds the whole request.
    pub(crate) fn patience(&self, now: Instant, asked: Option<Duration>) -> Patience {
        let mut patience = Patience::default();
        let timeout = match (self.timeout, asked) {
            (Some(own), Some(asked)) if self.allow_override => Some(own.min(asked)),
            (None, asked) if self.allow_override => asked,
            (own, asked) => {
                patience.deadline = asked.and_then(|asked| now.checked_add(asked));
                own
            }
        };
        let end = timeout.and_then(|timeout| now.checked_add(timeout));
        match self.on_timeout {
            OnTimeout::Reject => patience.reject = end,
            OnTimeout::Delay => patience.postpone = end,
        }
        patience
    }
}

/// How a model's sessions compute.
///
/// `parameters` may set `intra_op_thread_count`, ONNX Runtime's name for [`LoadOptions::intra_threads`], as for Triton's
/// backend.
///
/// # Errors
/// `InvalidConfig` for a number of threads that is none.
pub(crate) fn session_options(config: &ModelConfig, options: &LoadOptions) -> Result<SessionOptions> {
    let optimization = config.optimization.clone().unwrap_or_default();
    let on_gpu = config.instance_group.iter().any(|group| group.kind() == Kind::Gpu);
    let accelerators = optimization.execution_accelerators.unwrap_or_default();
    let accelerators = match on_gpu {
        true => accelerators.gpu_execution_accelerator,
        false => accelerators.cpu_execution_accelerator,
    };
    let accelerators = accelerators.into_iter().map(|accelerator| Accelerator {
        name: accelerator.name,
        parameters: accelerator.parameters.into_iter().collect(),
    });
    let intra_threads = match config.parameters.get(THREADS).map(|value| value.string_value.trim()) {
        None | Some("0" | "") => options.intra_threads,
        Some(count) => count.parse().map_err(|_| {
            let message = format!("`parameters` `{THREADS}`: expected a number of threads, found `{count}`");
            Error::new(ErrorKind::InvalidConfig, message)
        })?,
    };
    Ok(SessionOptions {
        accelerators: accelerators.collect(),
        optimization: match optimization.graph.unwrap_or_default().level {
            ..0 => Optimization::Basic,
            0 => Optimization::All,
            1.. => Optimization::Extended,
        },
        intra_threads,
        ..SessionOptions::default()
    })
}

const THREADS: &str = "intra_op_thread_count";

/// One device for each instance.
fn devices(groups: &[ModelInstanceGroup], options: &LoadOptions) -> Result<Vec<Device>> {
    let mut devices = Vec::new();
    for group in groups.iter().filter(|group| !group.passive) {
        let count = size(group.count).max(1);
        let gpus: &[i32] = if group.gpus.is_empty() { &[0] } else { &group.gpus };
        match group.kind() {
            Kind::Gpu => {
                for &gpu in gpus {
                    let device = Device::Cuda { id: gpu, or_cpu: options.gpu_fallback };
                    devices.extend(std::iter::repeat_n(device, count));
                }
            }
            Kind::Auto if !group.gpus.is_empty() => {
                for &gpu in gpus {
                    devices.extend(std::iter::repeat_n(Device::Cuda { id: gpu, or_cpu: true }, count));
                }
            }
            Kind::Auto | Kind::Cpu | Kind::Model => devices.extend(std::iter::repeat_n(Device::Cpu, count)),
        }
    }
    if devices.is_empty() {
        if groups.iter().any(|group| group.passive) {
            let message = "`instance_group`: every group is passive: nothing would run the model";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        devices = vec![Device::Cpu; options.instances];
    }
    Ok(devices)
}

fn size<T: TryInto<usize>>(value: T) -> usize {
    // Only negative numbers do not fit, and validation has refused those.
    value.try_into().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn scheduling(text: &str) -> Scheduling {
        let options = LoadOptions { instances: 2, ..LoadOptions::default() };
        Scheduling::new(&tintype_core::triton::parse(text).unwrap(), &options).unwrap()
    }

    #[test]
    fn without_dynamic_batching_requests_run_as_they_come() {
        let found = scheduling("max_batch_size: 8");
        assert_eq!((found.batch.max_batch_size, found.devices.len()), (1, 2));
    }

    #[test]
    fn dynamic_batching_is_read_whole() {
        let found = scheduling(
            "max_batch_size: 8 instance_group [ { count: 3 kind: KIND_CPU } ]
             dynamic_batching { preferred_batch_size: [4, 8] max_queue_delay_microseconds: 500 priority_levels: 3
                default_priority_level: 2 default_queue_policy { max_queue_size: 5 }
                priority_queue_policy { key: 1 value { timeout_action: DELAY default_timeout_microseconds: 1000 } } }",
        );
        assert_eq!(found.devices, [Device::Cpu; 3]);
        assert_eq!(found.batch.preferred_batch_sizes, [4, 8]);
        assert_eq!(found.batch.max_queue_delay, Duration::from_micros(500));
        assert_eq!((found.batch.priority_levels, found.batch.instances), (3, 3));
        assert_eq!([0, 1, 2, 3, 9].map(|priority| found.levels.level(priority)), [1, 0, 1, 2, 1]);
        let sizes: Vec<_> = found.levels.policies.iter().map(|policy| policy.max_queue_size).collect();
        assert_eq!(sizes, [None, Some(5), Some(5)]);
        let now = Instant::now();
        let expected = Patience { postpone: Some(now + MS), ..Patience::default() };
        assert_eq!(found.levels.policies[0].patience(now, None), expected);
    }

    #[test]
    fn a_timeout_may_shorten_the_policys_where_that_is_allowed_and_bounds_the_request_where_not() {
        let now = Instant::now();
        let policy =
            |timeout, allow_override| QueuePolicy { timeout, allow_override, ..QueuePolicy::default() };
        let reject = |end| Patience { reject: Some(end), ..Patience::default() };
        let cases = [
            (policy(Some(MS * 5), true), Some(MS), reject(now + MS)),
            (policy(Some(MS * 5), true), Some(MS * 9), reject(now + MS * 5)),
            (policy(None, true), Some(MS), reject(now + MS)),
            (policy(Some(MS * 5), false), None, reject(now + MS * 5)),
            (
                policy(Some(MS * 5), false),
                Some(MS),
                Patience { deadline: Some(now + MS), ..reject(now + MS * 5) },
            ),
            (policy(None, false), Some(MS), Patience { deadline: Some(now + MS), ..Patience::default() }),
        ];
        for (policy, asked, expected) in cases {
            assert_eq!(policy.patience(now, asked), expected, "{policy:?} {asked:?}");
        }
    }

    #[test]
    fn sessions_compute_as_the_configuration_says() {
        let read = |text: &str| {
            session_options(&tintype_core::triton::parse(text).unwrap(), &LoadOptions::default())
        };
        let found = read(
            "optimization { graph { level: 1 } execution_accelerators { cpu_execution_accelerator { name: 'openvino'
             parameters { key: 'device_type' value: 'CPU' } } gpu_execution_accelerator { name: 'tensorrt' } } }
             parameters { key: 'intra_op_thread_count' value { string_value: '3' } }",
        )
        .unwrap();
        assert_eq!((found.optimization, found.intra_threads), (Optimization::Extended, 3));
        let parameters = vec![("device_type".to_owned(), "CPU".to_owned())];
        assert_eq!(found.accelerators, [Accelerator { name: "openvino".into(), parameters }]);
        assert_eq!(read("optimization { graph { level: -1 } }").unwrap().optimization, Optimization::Basic);
        let many = "parameters { key: 'intra_op_thread_count' value { string_value: 'many' } }";
        assert_eq!(read(many).unwrap_err().kind(), ErrorKind::InvalidConfig);
    }

    #[test]
    fn gpus_have_instances_each() {
        let found = scheduling(
            "instance_group [ { count: 3 kind: KIND_GPU gpus: [0] }, { count: 2 kind: KIND_GPU gpus: [1] } ]",
        );
        let ids: Vec<i32> = found
            .devices
            .iter()
            .map(|device| match device {
                Device::Cuda { id, or_cpu: false } => *id,
                other => unreachable!("{other:?}"),
            })
            .collect();
        assert_eq!(ids, [0, 0, 0, 1, 1]);
    }
}
