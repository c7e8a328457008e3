//! A new migration file must be embedded without a touched source file.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
