//! Control group controllers.

/// Whether `/sys/fs/cgroup/cgroup.controllers` names the memory controller (cgroups(7), v2).
#[must_use]
pub fn memory_in_v2(controllers: &str) -> bool {
    controllers.split_whitespace().any(|name| name == "memory")
}

/// Whether `/proc/cgroups` has the memory controller enabled (cgroups(7): name, hierarchy,
/// number of groups, enabled).
#[must_use]
pub fn memory_in_v1(cgroups: &str) -> bool {
    cgroups.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.first() == Some(&"memory") && fields.get(3) == Some(&"1")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n\
                      cpuset\t3\t1\t1\nmemory\t0\t1\t0\npids\t6\t40\t1\n";

    #[test]
    fn raspberry_pi_without_the_flags_has_none() {
        assert!(!memory_in_v1(V1));
        assert!(!memory_in_v2("cpuset cpu io pids\n"));
    }

    #[test]
    fn with_them_it_has() {
        assert!(memory_in_v1(&V1.replace("memory\t0\t1\t0", "memory\t5\t80\t1")));
        assert!(memory_in_v2("cpuset cpu io memory hugetlb pids rdma misc\n"));
    }
}
