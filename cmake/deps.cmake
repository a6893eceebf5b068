# SPDX-License-Identifier: Apache-2.0
# Every third-party library, each behind the one layer that may include it (tests/lint/layers.py).
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET libssl>=3.0 libcrypto>=3.0)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv>=1.44)
pkg_check_modules(PROTOBUFC REQUIRED IMPORTED_TARGET libprotobuf-c>=1.4)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3>=3.40)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp>=2.5)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.14)
# Its header only: agent/runtime/bus.c loads the library when it is needed.
pkg_check_modules(SYSTEMD REQUIRED IMPORTED_TARGET libsystemd>=240)
pkg_check_modules(CURL IMPORTED_TARGET libcurl>=7.88)
pkg_check_modules(TSS2 IMPORTED_TARGET tss2-esys>=3.2 tss2-mu tss2-tctildr tss2-rc)
option(WRIT_TPM "Node attestor tpm_devid in writ-agent (needs the TPM Software Stack, libtss2-dev)" ${TSS2_FOUND})
if(WRIT_TPM AND NOT TSS2_FOUND)
	message(FATAL_ERROR "WRIT_TPM is on, and there is no TPM Software Stack: apt-get install libtss2-dev, or -DWRIT_TPM=OFF")
endif()
pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka)
find_program(PROTOC protoc REQUIRED)
find_program(PROTOC_GEN_C protoc-gen-c REQUIRED)
# By name: pkg-config's list for grpc pulls in 45 absl libraries that nothing here calls.
find_library(GRPC_LIB grpc REQUIRED)
find_library(GPR_LIB gpr REQUIRED)
