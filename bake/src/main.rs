//! The `bake` program; everything it does is in the library.

fn main() -> std::process::ExitCode {
    bake::cli::main()
}
