# SPDX-License-Identifier: Apache-2.0
# libwrit: the client of the Workload API and all below it in one library that shows the functions of include/writ and
# nothing else. Component "sdk" of the installation.
include(CMakePackageConfigHelpers)

set(map ${CMAKE_CURRENT_SOURCE_DIR}/libwrit.map)
add_library(writ_sdk SHARED libwrit.c)
set_target_properties(writ_sdk PROPERTIES OUTPUT_NAME writ EXPORT_NAME writ VERSION ${PROJECT_VERSION}
	SOVERSION ${PROJECT_VERSION_MAJOR} LINK_DEPENDS ${map})
target_compile_options(writ_sdk PRIVATE ${WRIT_WARNINGS})
target_include_directories(writ_sdk PRIVATE ${CMAKE_SOURCE_DIR}/lib
	INTERFACE $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(writ_sdk PRIVATE $<LINK_LIBRARY:WHOLE_ARCHIVE,writ_workload>)
target_link_options(writ_sdk PRIVATE -Wl,--version-script=${map})
if(NOT WRIT_SANITIZE)
	target_link_options(writ_sdk PRIVATE -Wl,--no-undefined)
endif()

# The static form is one object, so that hidden names can be made local: a program's own writ_buf_add is its own.
set(static ${CMAKE_LIBRARY_OUTPUT_DIRECTORY}/libwrit.a)
set(parts writ_workload writ_rpc writ_front writ_tls writ_loop writ_spiffe writ_crypto writ_base writ_proto)
set(files)
foreach(part ${parts})
	list(APPEND files $<TARGET_FILE:${part}>)
endforeach()
list(POP_FRONT files whole)
add_library(writ_quiet OBJECT libwrit.c)
target_include_directories(writ_quiet PRIVATE ${CMAKE_SOURCE_DIR}/lib)
add_custom_command(OUTPUT ${static}
	COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_LIBRARY_OUTPUT_DIRECTORY}
	COMMAND ${CMAKE_C_COMPILER} -r -nostdlib -o libwrit.o $<TARGET_OBJECTS:writ_quiet> -Wl,--whole-archive ${whole}
		-Wl,--no-whole-archive -Wl,--start-group ${files} -Wl,--end-group
	COMMAND ${CMAKE_OBJCOPY} --localize-hidden libwrit.o
	COMMAND ${CMAKE_COMMAND} -E rm -f ${static}
	COMMAND ${CMAKE_AR} rcs ${static} libwrit.o
	DEPENDS ${parts} writ_quiet $<TARGET_OBJECTS:writ_quiet> VERBATIM COMMAND_EXPAND_LISTS)
add_custom_target(writ_sdk_static ALL DEPENDS ${static})

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/writ)
configure_file(writ.pc.in writ.pc @ONLY)
configure_package_config_file(writConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/writConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/writConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(TARGETS writ_sdk EXPORT writTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT sdk)
install(EXPORT writTargets NAMESPACE writ:: DESTINATION ${package} COMPONENT sdk)
install(FILES ${static} DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT sdk)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/writ.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT sdk)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/writConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/writConfigVersion.cmake
	DESTINATION ${package} COMPONENT sdk)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/writ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT sdk FILES_MATCHING PATTERN "*.h")

if(WRIT_TESTS)
	add_test(NAME sdk_install COMMAND sh ${CMAKE_SOURCE_DIR}/tests/sdk/install.sh)
	set_tests_properties(sdk_install PROPERTIES TIMEOUT 120
		ENVIRONMENT "BUILD=${CMAKE_BINARY_DIR};PREFIX=${CMAKE_INSTALL_PREFIX};LIBDIR=${CMAKE_INSTALL_LIBDIR};CC=${CMAKE_C_COMPILER};SANITIZE=${WRIT_SANITIZE}")
endif()
