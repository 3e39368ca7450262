//! Part of step 2: a source that is a folder, checked.

use super::failure::Failure;
use super::paths;
use crate::api::source::{KvEngineVersion, KvFolderSource};
use crate::render::Names;

/// What is read in a folder.
#[derive(Clone)]
pub struct FolderJob {
    /// Whether folders below it are read as well.
    pub recursive: bool,
    /// Which entries are taken.
    pub names: Names,
    /// Whether their fields stand side by side.
    pub flatten: bool,
    /// How many there may be.
    pub limit: usize,
    /// Stands for what is chosen: with another choice it is another source.
    pub choice: String,
}

/// What that source reads, and the path of the folder without a slash at its end.
pub fn folder_job(name: &str, folder: &KvFolderSource) -> Result<(FolderJob, String), Failure> {
    let KvFolderSource {
        path,
        mount,
        engine_version,
        recursive,
        include,
        exclude,
        flatten,
        limit,
    } = folder;
    let invalid =
        |problem: String| Failure::invalid(format!("spec.sources[{name}].kvFolder.{problem}"));
    let path = path.strip_suffix('/').unwrap_or(path);
    let plain = *engine_version == KvEngineVersion::V1;
    paths::check_folder(mount, path, plain).map_err(invalid)?;
    let texts = |list: &[crate::api::bounded::BoundedText<256>]| -> Vec<String> {
        list.iter().map(|text| text.0.clone()).collect()
    };
    let (include, exclude) = (texts(include), texts(exclude));
    let names = Names::of_many(&include, &exclude).map_err(|error| invalid(error.to_string()))?;
    let job = FolderJob {
        recursive: *recursive,
        names,
        flatten: *flatten,
        limit: usize::try_from(*limit).unwrap_or(0),
        choice: format!("{:?}", (recursive, include, exclude)),
    };
    Ok((job, path.to_owned()))
}
