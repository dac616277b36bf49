//! Tells cargo to embed the assets anew when one of them changes. Downloads nothing.

fn main() {
    println!("cargo:rerun-if-changed=assets");
}
