# The Debian package: built, its dependencies named, unpacked into a clean prefix, run there.
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
run("cpack" ${CMAKE_COMMAND} -E chdir ${SCRATCH} ${CPACK} -G DEB --config ${BUILD}/CPackConfig.cmake -B ${SCRATCH})
file(GLOB package ${SCRATCH}/boundlight_${VERSION}_*.deb)
list(LENGTH package count)
if(NOT count EQUAL 1)
  message(FATAL_ERROR "expected one package, found: ${package}")
endif()

run("fields" dpkg-deb --field ${package} Depends)
foreach(library libc6 libstdc++6 libtbb12 libprotobuf32 libonnx1)
  string(REPLACE "+" "[+]" pattern ${library})
  if(NOT OUTPUT MATCHES "(^|, )${pattern}( |,|\n)")
    message(FATAL_ERROR "the package does not depend on ${library}: ${OUTPUT}")
  endif()
endforeach()

run("unpack" dpkg-deb --extract ${package} ${SCRATCH}/unpacked)
expect_version(${SCRATCH}/unpacked/usr/bin/boundlight)
foreach(file include/boundlight/core/result.hpp ${LIBDIR}/cmake/boundlight/boundlight-config.cmake
        ${LIBDIR}/boundlight/libboundlight_emulated.so
        share/doc/boundlight/copyright share/bash-completion/completions/boundlight share/zsh/vendor-completions/_boundlight)
  if(NOT EXISTS ${SCRATCH}/unpacked/usr/${file})
    message(FATAL_ERROR "the package lacks /usr/${file}")
  endif()
endforeach()
