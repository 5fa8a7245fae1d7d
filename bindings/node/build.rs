//! Link arguments that the platforms of Node want.

fn main() {
    napi_build::setup();
}
