#!/usr/bin/env bash
# Builds a private Rust toolchain that has `core` and `alloc` for bare-metal targets.
#
#   tests/setup-firmware-toolchain.sh PREFIX TARGET...
#
# Only for machines where `rustup target add` cannot download: the compiler and the source of its
# library come from Debian's packages rustc-web and rust-web-src, and the library is compiled here
# (2 to 3 minutes). Nothing is put on PATH; cargo uses the result through RUSTC=PREFIX/bin/rustc.
# The system gains libllvm, a shared library that the compiler loads, and lld if no rust-lld is
# there. Running it again does nothing. Interrupting it leaves the old toolchain, or none: all is
# built beside PREFIX and renamed as the last act. `cargo xtask setup` runs this script.
set -euo pipefail

if [ $# -lt 2 ]; then
    echo "usage: $0 PREFIX TARGET..." >&2
    exit 2
fi
prefix=$(realpath -m "$1")
shift
targets=("$@")
layout=1 # raise when this script lays things out differently: toolchains of old are rebuilt

say() { printf '  %s\n' "$*" >&2; }
fail() {
    printf 'error: %s\n' "$1" >&2
    printf '  do:    %s\n' "${2:-run it again; the message above says what went wrong}" >&2
    exit 2
}
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

for tool in apt-get apt-cache dpkg-deb cargo rustc tar; do
    command -v "$tool" >/dev/null ||
        fail "no $tool here; this toolchain is built from Debian's packages" \
            "rustup target add ${targets[*]}"
done

# ---- which version, and is it there already -----------------------------------------------------

candidate() { apt-cache policy "$1" | sed -n 's/^ *Candidate: *//p'; }
version=$(candidate rust-web-src)
if [ -z "$version" ] || [ "$version" = "(none)" ]; then
    as_root apt-get update -q >/dev/null
    version=$(candidate rust-web-src)
fi
if [ -z "$version" ] || [ "$version" = "(none)" ]; then
    fail "apt knows no package rust-web-src (Debian 12 or later has it)" \
        "rustup target add ${targets[*]}"
fi
stamp="layout $layout, rustc-web $version, ${targets[*]}"
if [ "$(cat "$prefix/stamp" 2>/dev/null)" = "$stamp" ]; then
    exit 0
fi

# ---- a place to build in ------------------------------------------------------------------------

mkdir -p "$(dirname "$prefix")"
new=$(mktemp -d "$prefix.new.XXXXXX") # a name of its own: two runs at once do not meet
chmod 755 "$new"
mkdir "$new/deb" "$new/bin" "$new/root"
trap 'rm -rf "$new"' EXIT
trap 'exit 130' INT TERM

# ---- the compiler -------------------------------------------------------------------------------

# The first dependency of package $1 that looks like $2. Read to the end: a reader that stops early
# would fail the pipe.
depends() { apt-cache show "$1=$version" | sed -n '/^Depends:/p' | grep -oE "$2" | sed -n 1p; }
driver=$(depends libstd-rust-web-dev 'libstd-rust-web-[0-9][0-9.]*') # the compiler's own library
llvm=$(depends "$driver" 'libllvm[0-9]+')
packages=(rustc-web "$driver" libstd-rust-web-dev rust-web-src rust-web-clippy)

install() { # PACKAGE; waits while another apt runs
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends "$1" \
        >"$new/apt.log" 2>&1 && return
    tail -n 5 "$new/apt.log" >&2
    fail "apt-get could not install $1" "apt-get update"
}

say "getting ${packages[*]} $version"
install "$llvm"
(cd "$new/deb" && apt-get download -q "${packages[@]/%/=$version}") >"$new/apt.log" 2>&1 || true
for package in "${packages[@]}"; do
    file=$(echo "$new/deb/${package}_"*.deb)
    [ -f "$file" ] ||
        { tail -n 5 "$new/apt.log" >&2; fail "$package did not download" "apt-get update"; }
    # Of the source only the library is wanted: the compiler's own is most of the package.
    dpkg-deb --fsys-tarfile "$file" | tar -x -C "$new/root" \
        --wildcards --no-wildcards-match-slash --exclude='./usr/share' \
        --exclude='./usr/src/rustc-*/compiler' --exclude='./usr/src/rustc-*/src'
    rm "$file"
done

multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || gcc -print-multiarch)
for program in rustc rustdoc clippy-driver; do
    cat >"$new/bin/$program" <<WRAPPER
#!/bin/sh
usr="\$(dirname "\$(dirname "\$(readlink -f "\$0")")")/root/usr"
LD_LIBRARY_PATH="\$usr/lib/$multiarch\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}" exec "\$usr/bin/$program" "\$@"
WRAPPER
    chmod +x "$new/bin/$program"
done
ln -s root/usr/lib "$new/lib"
rustlib="$new/root/usr/lib/rustlib"
host=$("$new/bin/rustc" -vV | sed -n 's/^host: //p')

# ---- the linker: Debian packs none under this name ----------------------------------------------

mkdir -p "$rustlib/$host/bin"
lld="$(rustc --print sysroot)/lib/rustlib/$host/bin/rust-lld"
if [ ! -x "$lld" ]; then
    install lld
    lld=$(command -v lld)
fi
ln -s "$lld" "$rustlib/$host/bin/rust-lld"

# ---- core and alloc for each target -------------------------------------------------------------

source="$rustlib/src/rust/library"
[ -d "$source/alloc" ] || source=$(echo "$new"/root/usr/src/rustc-*/library)
[ -d "$source/alloc" ] || fail "rust-web-src $version holds no library/alloc where it was looked for"
mkdir -p "$new/build/src"
echo '#![no_std]' >"$new/build/src/lib.rs"
cat >"$new/build/Cargo.toml" <<MANIFEST
[package]
name = "bare-metal-library"
version = "0.0.0"
edition = "2021"

[dependencies]
alloc = { path = "$source/alloc", features = ["compiler-builtins-mem"] }

# As the library is built for release, without debug information.
[profile.release]
opt-level = 3
codegen-units = 1
panic = "abort"

[profile.release.package.compiler_builtins]
codegen-units = 10000

[workspace]
MANIFEST

say "compiling core and alloc for ${targets[*]} (2 to 3 minutes)"
(
    cd "$new/build"
    unset CARGO_TARGET_DIR CARGO_BUILD_TARGET RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER
    export RUSTC="$new/bin/rustc" RUSTC_BOOTSTRAP=1
    export RUSTFLAGS="-Zforce-unstable-if-unmarked -Cembed-bitcode=yes --remap-path-prefix=$source=/rustc/library"
    cargo build --quiet --release --package alloc "${targets[@]/#/--target=}"
) || fail "the library of rustc-web $version did not compile"
for target in "${targets[@]}"; do
    mkdir -p "$rustlib/$target/lib"
    cp "$new/build/target/$target"/release/deps/*.rlib "$rustlib/$target/lib/"
done

# ---- in place -----------------------------------------------------------------------------------

rm -rf "$new/build" "$new/deb" "$new/apt.log"
echo "$stamp" >"$new/stamp"
rm -rf "$prefix"
mv -T "$new" "$prefix"
say "bare-metal toolchain ready: $("$prefix/bin/rustc" -V)"
