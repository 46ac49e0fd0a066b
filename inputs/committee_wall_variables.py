"""What committee_wall.dat takes its collective variable from."""

from beadwise.driver.doors.plumed_variables import CommitteeSpread

spread = CommitteeSpread("committee:water,water_accurate", structure="water_32.xyz", length_unit="A")
