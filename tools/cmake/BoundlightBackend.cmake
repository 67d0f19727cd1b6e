# Back ends: every *.op.cpp and *.dev.cpp under bounds/ is compiled once per back end in a namespace of its own (BL_NS).
# The cpu one is part of libboundlight; the others are modules opened on demand (device/modules.hpp).
file(GLOB_RECURSE BOUNDLIGHT_DEVICE_SOURCES CONFIGURE_DEPENDS bounds/*.op.cpp bounds/*.dev.cpp)
set_source_files_properties(bounds/engines/backend.dev.cpp PROPERTIES COMPILE_DEFINITIONS BOUNDLIGHT_VERSION="${PROJECT_VERSION}")

add_library(backend_cpu OBJECT ${BOUNDLIGHT_DEVICE_SOURCES})
target_compile_definitions(backend_cpu PRIVATE BL_NS=cpu BL_ONCE=1 BL_DEVICE_HEADER="boundlight/device/cpu/device.hpp")
target_compile_options(backend_cpu PRIVATE -O2)
# Loops over whole boxes, worth vectorising; of the other files -O3 only makes the compiler slower.
set_source_files_properties(bounds/ops/linear.dev.cpp bounds/ops/linear_relaxation.dev.cpp bounds/ops/elementwise.dev.cpp PROPERTIES COMPILE_OPTIONS -O3)
target_link_libraries(backend_cpu PRIVATE boundlight_flags TBB::tbb Boost::headers)
target_sources(boundlight PRIVATE $<TARGET_OBJECTS:backend_cpu>)

# bl_units(VAR BACKEND SUFFIX COUNT): VAR = generated files that include the sources, COUNT operators at a time. Headers cost
# as much as an operator, and nvcc reads them once more per step. Every operator calls its maker `make`: a name of its own each.
function(bl_units variable backend suffix count)
  file(GLOB headers RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS bounds/ops/*.hpp)
  set(intro "")
  foreach(header ${headers})
    string(APPEND intro "#include \"${header}\"\n")
  endforeach()
  set(units "")
  set(at 0)
  set(text "")
  foreach(source ${BOUNDLIGHT_DEVICE_SOURCES} end)
    if(source MATCHES "([^/]*)\\.op\\.cpp$")
      string(APPEND text "#define make make_${CMAKE_MATCH_1}\n#include \"${source}\"\n#undef make\n")
      math(EXPR at "${at} + 1")
    elseif(NOT source STREQUAL end)
      get_filename_component(name ${source} NAME_WE)
      set(unit ${CMAKE_CURRENT_BINARY_DIR}/${backend}/${name}${suffix})
      file(CONFIGURE OUTPUT ${unit} CONTENT "#include \"${source}\"\n")
      list(APPEND units ${unit})
    endif()
    if(text AND (at EQUAL count OR source STREQUAL end))
      list(LENGTH units number)
      set(unit ${CMAKE_CURRENT_BINARY_DIR}/${backend}/ops_${number}${suffix})
      file(CONFIGURE OUTPUT ${unit} CONTENT "${intro}${text}")
      list(APPEND units ${unit})
      set(text "")
      set(at 0)
    endif()
  endforeach()
  set(${variable} ${units} PARENT_SCOPE)
endfunction()

# A module beside libboundlight.so. Hidden symbols: what two back ends instantiate alike must not be shared between them.
function(boundlight_module name)
  add_library(boundlight_${name} MODULE ${ARGN})
  set_target_properties(boundlight_${name} PROPERTIES CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    LIBRARY_OUTPUT_DIRECTORY $<TARGET_FILE_DIR:boundlight>)
  target_link_libraries(boundlight_${name} PRIVATE boundlight boundlight_flags Boost::headers)
endfunction()

# The emulated back end: the cuda host code and kernels, by the host compiler.
set(BOUNDLIGHT_EMULATED_DEFINITIONS BL_NS=emulated BL_DEVICE_HEADER="boundlight/device/cuda/device.hpp"
  BL_RUNTIME_HEADER="boundlight/device/emulated/runtime.hpp")
set(BOUNDLIGHT_EMULATED_DEFINITIONS ${BOUNDLIGHT_EMULATED_DEFINITIONS} PARENT_SCOPE)  # for the tests
file(GLOB emulator CONFIGURE_DEPENDS device/emulated/*.cpp)
add_library(emulator OBJECT ${emulator})
target_link_libraries(emulator PRIVATE boundlight_flags)
set_target_properties(emulator PROPERTIES CXX_VISIBILITY_PRESET hidden)
bl_units(units emulated .cpp 5)
boundlight_module(emulated ${units} $<TARGET_OBJECTS:emulator>)
target_compile_definitions(boundlight_emulated PRIVATE ${BOUNDLIGHT_EMULATED_DEFINITIONS} BOUNDLIGHT_VERSION="${PROJECT_VERSION}")

include(BoundlightCuda)
bl_find_nvcc()
if(BOUNDLIGHT_NVCC)
  bl_cuda_module()
endif()
