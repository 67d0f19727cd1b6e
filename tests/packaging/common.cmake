# run(WHAT command...): fails the test with the output when the command fails; OUTPUT holds what it printed.
function(run what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${what}: ${status}\n${output}")
  endif()
  message(STATUS "${what}: ok")
  set(OUTPUT "${output}" PARENT_SCOPE)
endfunction()

# The command's --version, run without any help from the environment.
function(expect_version binary)
  run("${binary} --version" ${CMAKE_COMMAND} -E env --unset=LD_LIBRARY_PATH ${binary} --version)
  if(NOT OUTPUT MATCHES "^boundlight ${VERSION}")
    message(FATAL_ERROR "--version printed: ${OUTPUT}")
  endif()
endfunction()

file(REMOVE_RECURSE ${SCRATCH})
file(MAKE_DIRECTORY ${SCRATCH})
