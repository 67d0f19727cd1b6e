# Fewer and larger translation units (BOUNDLIGHT_UNITY): most of a build from nothing is the same headers read again and again.
# ./demo and ./test build that way; everyday work does not, where one changed line should compile one file again. Names in
# anonymous namespaces must therefore differ between the files of one folder.

# A type of an anonymous namespace is no danger in a file that is included once.
set(BOUNDLIGHT_UNITY_FLAGS "$<$<BOOL:${BOUNDLIGHT_UNITY}>:-Wno-subobject-linkage>")

# bl_unity(TARGET COUNT): the sources of TARGET, COUNT at a time, those of a folder together.
function(bl_unity target count)
  if(NOT BOUNDLIGHT_UNITY)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  target_compile_options(${target} PRIVATE ${BOUNDLIGHT_UNITY_FLAGS})
  get_target_property(sources ${target} SOURCES)
  list(FILTER sources INCLUDE REGEX "\\.cpp$")
  foreach(source ${sources})
    get_filename_component(folder ${source} DIRECTORY)
    file(RELATIVE_PATH folder ${PROJECT_SOURCE_DIR} ${folder})
    string(MAKE_C_IDENTIFIER ${folder} folder)
    if(NOT DEFINED at_${folder})
      set(at_${folder} 0)
    endif()
    math(EXPR number "${at_${folder}} / ${count}")
    math(EXPR at_${folder} "${at_${folder}} + 1")
    set_property(SOURCE ${source} PROPERTY UNITY_GROUP ${folder}_${number})
  endforeach()
endfunction()
