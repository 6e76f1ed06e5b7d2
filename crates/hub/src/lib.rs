//! Files of models and data sets from the Hugging Face hub.
//!
//! * [`Repo`] is what `hf://owner/name@revision` means;
//! * [`Settings`] is what the environment says, in the words of Python's `huggingface_hub` (`HF_ENDPOINT`, `HF_TOKEN`,
//!   `HF_HOME`, `HF_HUB_OFFLINE`, …);
//! * [`Hub`] lists files and fetches them, one or several of one commit.
//!
//! A file is asked for by revision; the hub answers with the commit, and a tag of the content under which the file lies in the
//! `cache`, whose layout is that of `huggingface_hub`: what either has fetched, the other finds. A download that
//! breaks off is resumed, and one whose content does not have the promised SHA-256 is refused.
//!
//! What the files mean is the business of others.

mod cache;
mod download;
mod hub;
mod repo;
mod settings;
mod wire;

pub use hub::Hub;
pub use repo::{Repo, RepoKind};
pub use settings::Settings;
