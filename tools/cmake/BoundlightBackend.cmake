# Back ends: every *.op.cpp and *.dev.cpp under bounds/ is compiled once per back end in a namespace of its own (BL_NS).
# The cpu one is part of libboundlight; the others are modules opened on demand (device/modules.hpp).
file(GLOB_RECURSE BOUNDLIGHT_OPERATORS CONFIGURE_DEPENDS bounds/*.op.cpp)
file(GLOB_RECURSE BOUNDLIGHT_ENGINES CONFIGURE_DEPENDS bounds/*.dev.cpp)
set(BOUNDLIGHT_BACKEND_VERSION BOUNDLIGHT_VERSION="${PROJECT_VERSION}")

# bl_units(VAR BACKEND SUFFIX OPERATORS ENGINES): VAR = generated files that include the sources, that many operators or parts
# of engines at a time. Headers cost as much as an operator, and nvcc reads them once more per step. Every operator calls its
# functions `make`, `evaluate` and `infer`: names of their own for each.
function(bl_units variable backend suffix operators engines)
  file(GLOB headers RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS bounds/ops/*.hpp)
  list(TRANSFORM headers REPLACE "(.+)" "#include \"\\1\"" OUTPUT_VARIABLE intro)
  list(JOIN intro "\n" intro)
  set(units "")
  foreach(kind operators engines)
    string(TOUPPER BOUNDLIGHT_${kind} sources)
    set(number 0)
    set(at 0)
    set(text "")
    foreach(source ${${sources}} end)
      if(NOT source STREQUAL end)
        get_filename_component(name ${source} NAME_WE)
        set(renamed make evaluate infer)
        if("${kind}" STREQUAL "engines")
          set(renamed "")
        endif()
        foreach(word ${renamed})
          string(APPEND text "#define ${word} ${word}_${name}\n")
        endforeach()
        string(APPEND text "#include \"${source}\"\n")
        foreach(word ${renamed})
          string(APPEND text "#undef ${word}\n")
        endforeach()
        math(EXPR at "${at} + 1")
      endif()
      if(text AND (at EQUAL ${kind} OR source STREQUAL end))
        math(EXPR number "${number} + 1")
        set(unit ${CMAKE_CURRENT_BINARY_DIR}/${backend}/${kind}_${number}${suffix})
        file(CONFIGURE OUTPUT ${unit} CONTENT "${intro}\n${text}")
        list(APPEND units ${unit})
        set(text "")
        set(at 0)
      endif()
    endforeach()
  endforeach()
  set(${variable} ${units} PARENT_SCOPE)
endfunction()

# Loops over whole boxes, worth vectorising; of the other files -O3 only makes the compiler slower.
set(vectorised bounds/ops/linear.dev.cpp bounds/ops/linear_relaxation.dev.cpp bounds/ops/elementwise.dev.cpp)
set_source_files_properties(${vectorised} PROPERTIES COMPILE_OPTIONS -O3)
if(BOUNDLIGHT_UNITY)
  set(engines ${BOUNDLIGHT_ENGINES})
  list(FILTER BOUNDLIGHT_ENGINES EXCLUDE REGEX "/ops/(linear|linear_relaxation|elementwise)\\.dev\\.cpp$")
  bl_units(units cpu .cpp 8 4)
  list(APPEND units ${vectorised})
  set(BOUNDLIGHT_ENGINES ${engines})
else()
  set(units ${BOUNDLIGHT_OPERATORS} ${BOUNDLIGHT_ENGINES})
endif()
add_library(backend_cpu OBJECT ${units})
target_compile_definitions(backend_cpu PRIVATE BL_NS=cpu BL_ONCE=1 BL_DEVICE_HEADER="boundlight/device/cpu/device.hpp"
  ${BOUNDLIGHT_BACKEND_VERSION})
target_compile_options(backend_cpu PRIVATE -O2 ${BOUNDLIGHT_UNITY_FLAGS})
target_link_libraries(backend_cpu PRIVATE boundlight_flags TBB::tbb Boost::headers)
target_sources(boundlight PRIVATE $<TARGET_OBJECTS:backend_cpu>)

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
bl_units(units emulated .cpp 8 4)
boundlight_module(emulated ${units} $<TARGET_OBJECTS:emulator>)
target_compile_definitions(boundlight_emulated PRIVATE ${BOUNDLIGHT_EMULATED_DEFINITIONS} ${BOUNDLIGHT_BACKEND_VERSION})
target_compile_options(boundlight_emulated PRIVATE -O1 -Wno-subobject-linkage)  # it checks the CUDA code; nobody waits for its figures

# The kernels alone under a sanitizer, in minutes (./test --sanitize-kernels): everything else is built as always, the sanitizer's run time
# is loaded before the tests of the emulated back end (tests/CMakeLists.txt). The pool is compiled in, so that it tells which bytes live.
if(BOUNDLIGHT_SANITIZE_KERNELS)
  target_sources(boundlight_emulated PRIVATE device/pool.cpp)
  foreach(target emulator boundlight_emulated)
    target_compile_options(${target} PRIVATE -O1 -g1 -fsanitize=${BOUNDLIGHT_SANITIZE_KERNELS} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  endforeach()
  target_link_options(boundlight_emulated PRIVATE -fsanitize=${BOUNDLIGHT_SANITIZE_KERNELS})
endif()

include(BoundlightCuda)
bl_find_nvcc()
if(BOUNDLIGHT_NVCC)
  bl_cuda_module()
endif()
