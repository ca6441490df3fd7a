//! The device binary; everything is in the library, where tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    firstboot::cli::main(std::env::args_os().skip(1)).into()
}
