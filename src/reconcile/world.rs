//! What decides whether another attempt makes sense before its time: noted with a failure, and compared with what the next pass sees.

/// What a failed attempt depended on: while all of this is as it was, only time can help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// Generation of the object.
    pub generation: Option<i64>,
    /// What is asked for anew; empty if nothing is.
    pub forced: String,
    /// Which server with which settings, or why there is none; `None` while that is not known.
    pub connection: Option<String>,
    /// How often the server has come back since its settings were made.
    pub recoveries: u64,
    /// UID of the service account, if it exists.
    pub service_account: Option<String>,
    /// UID and resource version of the Secret to write, if it exists.
    pub target: Option<(String, String)>,
    /// The ConfigMaps with its templates that exist, each with its resource version.
    pub templates: Vec<(String, String)>,
}
