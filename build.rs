//! Tells cargo to embed the assets anew when one of them changes, packs the files of Swagger UI that are served (they come
//! with a crate: nothing is downloaded), and has the linker make a smaller executable where the system can read it.

use std::{
    env,
    error::Error,
    fs::File,
    io::{Cursor, copy},
    path::PathBuf,
    process::Command,
};

use flate2::{Compression, write::GzEncoder};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

/// What `/docs` loads; the archive holds much more. `src/http/swagger.rs` embeds them.
const SWAGGER_FILES: [&str; 5] = [
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-ui.css",
    "index.css",
    "favicon-32x32.png",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=assets");
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    let folder = archive
        .file_names()
        .find_map(|name| Some(format!("{}/dist", name.ok()?.strip_suffix("/dist/swagger-ui.css")?)));
    let dist = folder.ok_or("the archive of Swagger UI has another form")?;
    for name in SWAGGER_FILES {
        let mut packed = GzEncoder::new(File::create(out.join(format!("{name}.gz")))?, Compression::best());
        copy(&mut archive.by_name(&format!("{dist}/{name}"))?, &mut packed)?;
        packed.finish()?;
    }
    if knows_packed_relocations() {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    Ok(())
}

/// Whether an executable built here may have its addresses packed, which makes it 2 MB smaller: the C library reads them
/// since 2.36, and the one that it will run with has to be as new as the one here anyway.
fn knows_packed_relocations() -> bool {
    let (target, host) = (env::var("TARGET").unwrap_or_default(), env::var("HOST").unwrap_or_default());
    if target != host || !target.ends_with("-linux-gnu") || env::var("PROFILE").as_deref() != Ok("release") {
        return false;
    }
    let Ok(said) = Command::new("getconf").arg("GNU_LIBC_VERSION").output() else { return false };
    let said = String::from_utf8_lossy(&said.stdout);
    let version = said.trim().strip_prefix("glibc ").and_then(|version| version.split_once('.'));
    let number = |text: &str| text.parse::<u32>().unwrap_or(0);
    version.is_some_and(|(major, minor)| (number(major), number(minor)) >= (2, 36))
}
