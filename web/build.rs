//! Tells cargo when the embedded dashboard has changed. Never calls npm: without a built `ui/dist` the program embeds a
//! notice instead (`src/notice.html`).

fn main() {
    // A watched path that does not exist would make every build start anew, and an empty folder is no page.
    // On a read-only source tree this fails, which only costs that.
    if let Err(error) = std::fs::create_dir_all("ui/dist") {
        println!("cargo::warning=web/ui/dist cannot be created: {error}");
    }
    println!("cargo::rerun-if-changed=ui/dist");
    println!("cargo::rerun-if-changed=build.rs");
}
