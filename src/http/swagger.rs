//! The files of Swagger UI, gzipped by `build.rs`.

macro_rules! packed {
    ($($name:literal),*) => {
        [$(($name, include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".gz")).as_slice())),*]
    };
}

/// Name and gzipped content.
pub(super) static FILES: [(&str, &[u8]); 5] = packed![
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-ui.css",
    "index.css",
    "favicon-32x32.png"
];
