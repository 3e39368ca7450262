//! Container images without a Docker daemon: an OCI archive of a few files, the same bytes for the same files.
//!
//! See the image and layout specifications of the Open Container Initiative. Whatever a build usually leaves in an image without being asked
//! (times, owners, the order of files) is fixed here.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A file of an image.
#[derive(Debug)]
pub struct Entry {
    /// Where it is, without the slash in front.
    pub path: String,
    /// What it holds.
    pub content: Vec<u8>,
    /// Whether it is a program.
    pub program: bool,
}

/// An image of one layer.
#[derive(Debug)]
pub struct Image {
    /// Its name and tag: `vaultbridge:0.1.0`.
    pub name: String,
    /// For which processors: `amd64`.
    pub architecture: String,
    /// Its files.
    pub entries: Vec<Entry>,
    /// The program that it starts, with arguments.
    pub entrypoint: Vec<String>,
    /// As whom: `65532:65532`.
    pub user: String,
    /// Labels of the configuration, and annotations of the manifest.
    pub labels: Value,
}

/// What came of a build.
#[derive(Debug)]
pub struct Built {
    /// The digest of the manifest, which names the image for good: `sha256:…`.
    pub digest: String,
    /// The bytes that a node fetches.
    pub bytes: usize,
}

impl Image {
    /// Writes the archive. The same image makes the same bytes.
    pub fn write(&self, archive: &Path) -> Result<Built> {
        let layer = archive_of(&self.entries)?;
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&layer)?;
        let packed = packed.finish()?;
        let config = json!({
            "architecture": self.architecture,
            "os": "linux",
            "config": {
                "User": self.user,
                "Entrypoint": self.entrypoint,
                "WorkingDir": "/",
                "Labels": self.labels,
            },
            "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
            "history": [{ "created_by": "make image" }],
        });
        let config = serde_json::to_vec(&config)?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &packed)],
            "annotations": self.labels,
        });
        let manifest = serde_json::to_vec(&manifest)?;
        let index = self.index(&manifest);
        let bytes = config.len() + manifest.len() + packed.len();
        let digest_of_manifest = digest(&manifest);
        let blob = |content: Vec<u8>| Entry {
            path: format!("blobs/{}", digest(&content).replace(':', "/")),
            content,
            program: false,
        };
        let file = |path: &str, content: Vec<u8>| Entry {
            path: path.to_owned(),
            content,
            program: false,
        };
        let entries = [
            file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
            file("index.json", serde_json::to_vec(&index)?),
            blob(config),
            blob(packed),
            blob(manifest),
        ];
        if let Some(folder) = archive.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(archive, archive_of(&entries)?)
            .with_context(|| format!("write {}", archive.display()))?;
        Ok(Built {
            digest: digest_of_manifest,
            bytes,
        })
    }

    /// What leads to the manifest, by the image's name.
    fn index(&self, manifest: &[u8]) -> Value {
        let mut named = descriptor("application/vnd.oci.image.manifest.v1+json", manifest);
        named["platform"] = json!({ "architecture": self.architecture, "os": "linux" });
        let tag = self.name.rsplit_once(':').map_or("latest", |(_, tag)| tag);
        named["annotations"] = json!({
            // containerd takes the one for the name, everybody else the other for the tag.
            "io.containerd.image.name": format!("docker.io/library/{}", self.name),
            "org.opencontainers.image.ref.name": tag,
        });
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [named],
        })
    }
}

/// The entries as a tar archive: by path, of nobody, from the beginning of time.
fn archive_of(entries: &[Entry]) -> Result<Vec<u8>> {
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_by(|one, other| one.path.cmp(&other.path));
    let mut archive = tar::Builder::new(Vec::new());
    for entry in sorted {
        let mut header = tar::Header::new_gnu();
        header.set_size(entry.content.len().try_into()?);
        header.set_mode(if entry.program { 0o555 } else { 0o444 });
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        archive.append_data(&mut header, &entry.path, entry.content.as_slice())?;
    }
    Ok(archive.into_inner()?)
}

fn descriptor(kind: &str, content: &[u8]) -> Value {
    json!({ "mediaType": kind, "digest": digest(content), "size": content.len() })
}

fn digest(content: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(content) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_make_the_same_image_in_whatever_order_they_come() {
        let folder = std::env::temp_dir().join(format!("vaultbridge-image-{}", std::process::id()));
        let entry = |path: &str, program| Entry {
            path: path.to_owned(),
            content: path.as_bytes().to_vec(),
            program,
        };
        let image = |entries| Image {
            name: "app:1".into(),
            architecture: "amd64".into(),
            entries,
            entrypoint: vec!["/app".into()],
            user: "65532:65532".into(),
            labels: json!({}),
        };
        let one = image(vec![entry("app", true), entry("etc/hosts", false)]);
        let other = image(vec![entry("etc/hosts", false), entry("app", true)]);
        let (first, second) = (folder.join("one.tar"), folder.join("two.tar"));
        let digest = one.write(&first).unwrap().digest;
        assert_eq!(digest, other.write(&second).unwrap().digest);
        assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap());
        let changed = image(vec![entry("app", false), entry("etc/hosts", false)]);
        assert_ne!(changed.write(&first).unwrap().digest, digest);
        fs::remove_dir_all(folder).unwrap();
    }
}
