# cmake --install: the command, the library, its headers, a CMake package, completions; cpack: all of it as one .deb.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/boundlight)

install(TARGETS boundlight EXPORT boundlight-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT boundlight-targets NAMESPACE boundlight:: DESTINATION ${package_dir})
configure_package_config_file(tools/cmake/boundlight-config.cmake.in ${CMAKE_BINARY_DIR}/boundlight-config.cmake
  INSTALL_DESTINATION ${package_dir} PATH_VARS CMAKE_INSTALL_BINDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/boundlight-config-version.cmake
  COMPATIBILITY SameMinorVersion)  # before 1.0 a minor version may change the interface
install(FILES ${CMAKE_BINARY_DIR}/boundlight-config.cmake ${CMAKE_BINARY_DIR}/boundlight-config-version.cmake
  DESTINATION ${package_dir})

# Back ends that are opened on demand (device/modules.hpp looks in boundlight/ beside the library).
foreach(module emulated cuda)
  if(TARGET boundlight_${module})
    set_target_properties(boundlight_${module} PROPERTIES INSTALL_RPATH "$ORIGIN/..")
    set(component Unspecified)
    if(module STREQUAL cuda)
      set(component cuda)
    endif()
    install(TARGETS boundlight_${module} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/boundlight COMPONENT ${component})
  endif()
endforeach()

install(CODE "set(SOURCE \"${CMAKE_SOURCE_DIR}\")
  set(DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_INCLUDEDIR}\")
  include(\"${CMAKE_SOURCE_DIR}/tools/cmake/install_headers.cmake\")")
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)
install(FILES README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

if(TARGET boundlight_cli)
  # The command finds its library beside itself wherever the tree is put.
  file(RELATIVE_PATH bin_to_lib ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
  set_target_properties(boundlight_cli PROPERTIES INSTALL_RPATH "$ORIGIN/${bin_to_lib}")
  install(TARGETS boundlight_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

  # The command writes its own completions.
  foreach(shell bash zsh)
    add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/completion.${shell}
      COMMAND boundlight_cli completion ${shell} > ${CMAKE_BINARY_DIR}/completion.${shell}
      DEPENDS boundlight_cli VERBATIM)
  endforeach()
  add_custom_target(completions ALL DEPENDS ${CMAKE_BINARY_DIR}/completion.bash ${CMAKE_BINARY_DIR}/completion.zsh)
  install(FILES ${CMAKE_BINARY_DIR}/completion.bash
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME boundlight)
  install(FILES ${CMAKE_BINARY_DIR}/completion.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions RENAME _boundlight)
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME boundlight)
set(CPACK_PACKAGE_VENDOR "boundlight")
set(CPACK_PACKAGE_CONTACT "The boundlight developers <boundlight@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_BINARY_DIR}/boundlight)  # its own library is in no other package
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
# One package with everything but the CUDA module: its libraries are in no Debian package that could be depended on.
set(CPACK_COMPONENTS_ALL Unspecified)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
include(CPack)
