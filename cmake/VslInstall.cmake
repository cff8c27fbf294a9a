# What an outsider gets: libvesal.so (every floor below the command line), the floors as static libraries, headers in
# include/vesal/<floor>/, a CMake package (vesal::vesal, vesal::<floor>) and vesal.pc.
include(CMakePackageConfigHelpers)

# A header is public when it marks something VSL_API, or when such a header includes it.
set(library_floors "")
set(public_headers "")
foreach(floor core io registration phantom)
    if(TARGET vesal_${floor})
        list(APPEND library_floors ${floor})
        file(GLOB headers CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/${floor}/*.h)
        foreach(header ${headers})
            file(STRINGS ${PROJECT_SOURCE_DIR}/${header} marks REGEX "VSL_API")
            if(marks)
                file(STRINGS ${PROJECT_SOURCE_DIR}/${header} includes REGEX "^#include \"")
                list(TRANSFORM includes REPLACE "^#include \"(.*)\".*" "\\1")
                list(APPEND public_headers ${header} ${includes})
            endif()
        endforeach()
    endif()
endforeach()
list(REMOVE_DUPLICATES public_headers)
foreach(header ${public_headers})
    get_filename_component(folder ${header} DIRECTORY)
    install(FILES ${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/vesal/${folder})
endforeach()
list(TRANSFORM library_floors PREPEND vesal_ OUTPUT_VARIABLE library_targets)

# The floors are compiled hidden: only what VSL_API marks leaves the shared library. Their objects are taken whole; the
# archives themselves are linked for what they need.
list(TRANSFORM library_targets REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE library_objects)
add_library(libvesal SHARED ${library_objects})
add_library(vesal::vesal ALIAS libvesal)
set_target_properties(libvesal PROPERTIES OUTPUT_NAME vesal EXPORT_NAME vesal LINKER_LANGUAGE C
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
target_link_libraries(libvesal PRIVATE ${library_targets} vsl_flags)
target_include_directories(libvesal INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/vesal>)

install(TARGETS libvesal EXPORT VesalTargets)
install(TARGETS ${library_targets} EXPORT VesalFloorTargets)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Vesal)
install(EXPORT VesalTargets NAMESPACE vesal:: DESTINATION ${package_dir})
install(EXPORT VesalFloorTargets NAMESPACE vesal:: DESTINATION ${package_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/VesalConfig.cmake.in ${PROJECT_BINARY_DIR}/VesalConfig.cmake
    INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/VesalConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/VesalConfig.cmake ${PROJECT_BINARY_DIR}/VesalConfigVersion.cmake
    DESTINATION ${package_dir})

# The prefix is found from where vesal.pc lies, so that an installed tree can be moved.
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH prefix_from_pc /prefix/${pkgconfig_dir} /prefix)
configure_file(${PROJECT_SOURCE_DIR}/cmake/vesal.pc.in ${PROJECT_BINARY_DIR}/vesal.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/vesal.pc DESTINATION ${pkgconfig_dir})
