# SPDX-License-Identifier: Apache-2.0
# Compiler dialect, warnings and hardening: docs/STYLE.md says why each group is here.
include(CheckCCompilerFlag)
include(CheckCSourceRuns)

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_compile_definitions(_GNU_SOURCE WRIT_VERSION="${PROJECT_VERSION}")

set(WRIT_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
	-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wformat=2 -Wundef
	-Wvla -Wimplicit-fallthrough -Wpointer-arith -Wwrite-strings -Wdouble-promotion
	-Wno-gnu-zero-variadic-macro-arguments -Wno-gnu-statement-expression)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
	list(APPEND WRIT_WARNINGS -Wduplicated-cond -Wlogical-op -Wbidi-chars=any -Wcast-qual)
else()
	# clang sees the casts in other libraries' macros, and takes assert(!"text") for a mistake.
	list(APPEND WRIT_WARNINGS -Wno-string-conversion)
endif()
if(WRIT_WERROR)
	list(APPEND WRIT_WARNINGS -Werror)
endif()

add_compile_options(-fno-common -fvisibility=hidden -fno-delete-null-pointer-checks
	-fno-strict-aliasing -fstack-protector-strong)
add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code -Wl,--as-needed)

if(WRIT_SANITIZE)
	add_compile_options(-fsanitize=${WRIT_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
	add_link_options(-fsanitize=${WRIT_SANITIZE})
	add_compile_definitions(WRIT_SANITIZED=1)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release")
	# assert() stays on: it is for programmer errors, and input can never reach one.
	set(CMAKE_C_FLAGS_RELEASE "-O2 -g1")
	# Not -ftrivial-auto-var-init: gcc 12.2 then clears the padding of arrays of structs at wrong offsets, after they
	# were initialised (docs/adr/0011).
	foreach(flag -fstack-clash-protection -fcf-protection=full -fzero-call-used-regs=used-gpr)
		string(MAKE_C_IDENTIFIER "HAVE${flag}" have)
		check_c_compiler_flag(${flag} ${have})
		if(${have})
			add_compile_options(${flag})
		endif()
	endforeach()
	# GCC 12 clears the padding of an array of structs at wrong offsets, after its elements were set: see the file.
	set(CMAKE_REQUIRED_FLAGS -ftrivial-auto-var-init=zero)
	file(READ ${CMAKE_SOURCE_DIR}/cmake/padding.c padding)
	check_c_source_runs("${padding}" WRIT_AUTO_INIT_WORKS)
	unset(CMAKE_REQUIRED_FLAGS)
	if(WRIT_AUTO_INIT_WORKS)
		add_compile_options(-ftrivial-auto-var-init=zero)
	endif()
	add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
	set(CMAKE_EXE_LINKER_FLAGS "${CMAKE_EXE_LINKER_FLAGS} -pie")
endif()
if(WRIT_FUZZ)
	add_compile_options(-fsanitize=fuzzer-no-link)
endif()
find_program(CCACHE ccache)
if(CCACHE)
	set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()
