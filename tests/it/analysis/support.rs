//! Files of a folder, and the archives that real packages are taken from.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use productforge::analysis::{FileEntry, Files, MemoryFiles};

/// The files below a folder. Links are not followed.
pub struct FolderFiles {
    root: PathBuf,
    entries: Vec<FileEntry>,
}

impl FolderFiles {
    pub fn new(root: &Path) -> io::Result<Self> {
        let mut entries = Vec::new();
        let mut open = vec![root.to_owned()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    open.push(entry.path());
                } else if kind.is_file() {
                    let path = entry.path();
                    let below = path.strip_prefix(root).map_err(io::Error::other)?;
                    let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
                    entries.push(FileEntry { path: parts.join("/"), size: entry.metadata()?.len() });
                }
            }
        }
        Ok(Self { root: root.to_owned(), entries })
    }
}

impl Files for FolderFiles {
    fn list(&self) -> &[FileEntry] {
        &self.entries
    }

    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.root.join(path))?.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// The folder that `tests/support/real-archives.sh` fills.
pub fn archives() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    cache.unwrap_or_default().join("productforge-tests/archives")
}

/// The files of an archive, by its name without regard to case.
pub fn archive(name: &str) -> MemoryFiles {
    let mut found = fs::read_dir(archives()).into_iter().flatten().filter_map(Result::ok);
    let Some(file) = found.find(|entry| entry.file_name().to_string_lossy().eq_ignore_ascii_case(name))
    else {
        panic!("{name} is not here: `./dev setup` fetches it");
    };
    let mut zip = zip::ZipArchive::new(File::open(file.path()).unwrap()).unwrap();
    let mut files = Vec::new();
    for at in 0..zip.len() {
        let mut member = zip.by_index(at).unwrap();
        if member.is_file() {
            let mut bytes = Vec::new();
            member.read_to_end(&mut bytes).unwrap();
            let name = member.name().unwrap().into_owned();
            files.push((name, bytes));
        }
    }
    MemoryFiles::new(files)
}
