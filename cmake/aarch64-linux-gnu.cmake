# SPDX-License-Identifier: Apache-2.0
# Debian's cross compiler, the emulator for what it builds, and the Arm libraries that `scripts/setup.sh arm` unpacked.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CROSSCOMPILING_EMULATOR "qemu-aarch64;-L;/usr/aarch64-linux-gnu")

set(arm_root "${CMAKE_CURRENT_LIST_DIR}/../.deps/arm")
set(ENV{PKG_CONFIG_LIBDIR} "${arm_root}/usr/lib/aarch64-linux-gnu/pkgconfig")
set(ENV{PKG_CONFIG_SYSROOT_DIR} "${arm_root}")
set(CMAKE_BUILD_RPATH "${arm_root}/usr/lib/aarch64-linux-gnu")
