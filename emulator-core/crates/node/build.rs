//! Tells the linker what the addon finds in Node.

fn main() {
    napi_build::setup();
}
